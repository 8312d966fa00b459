import { LinkDown } from '../../transport/failures.ts'
import type { StreamProgress } from '../frame-stream.ts'
import { BUNDLE_BYTES } from '../frames/bundle.ts'
import type { StreamBegin } from '../frames/frame.ts'
import { createFrameEncoder, encodeFrame } from '../frames/frame-encoder.ts'
import { BOUNDED_REQUEST_BYTES, FRAME_BYTES } from '../frames/frame-limits.ts'
import type { Bundler } from './bundler.ts'
import type { Outbox } from './outbox.ts'
import { createReplyHandler } from './reply-handler.ts'

export interface BoundedLine {
  /** Sends what waits, request by request; resolves when nothing does. @throws LinkDown, NotOurProtocol, RemoteRefusal. */
  run(signal: AbortSignal): Promise<void>
}

interface BoundedLineDeps {
  readonly begin: StreamBegin
  readonly outbox: Outbox
  readonly bundler: Bundler
  readonly progress: StreamProgress
  /** One request with this body; resolves with the body of the answer. */
  post(body: Buffer, signal: AbortSignal): Promise<Buffer>
}

const NOT_TRIED = { result: 'not-tried', reason: '', remote: null } as const

/**
 * The way through proxies that pass nothing on before it is whole: the same frames in requests of at most 8 MiB, each with its BEGIN
 * and END and with items from 1, the answers as the body of its reply.
 */
export function createBoundedLine({ begin, outbox, bundler, progress, post }: BoundedLineDeps): BoundedLine {
  const encoder = createFrameEncoder()
  const head = encodeFrame({ type: 'begin', begin })
  const tail = encodeFrame({ type: 'end' })
  // The last frame may pass the budget by its whole size.
  const budgetBytes = BOUNDED_REQUEST_BYTES - 2 * FRAME_BYTES

  function nextBody(): Buffer {
    const pieces = [head]
    let frames = 0
    let contents = 0
    while (frames < budgetBytes && outbox.waiting > 0) {
      const { frameBytes, contentBytes } = outbox.fill(encoder, Math.min(BUNDLE_BYTES, budgetBytes - frames))
      pieces.push(...bundler.wrap(encoder.take()))
      frames += frameBytes
      contents += contentBytes
    }
    progress.sent(contents)
    return Buffer.concat([...pieces, tail])
  }

  const events = { credit: () => undefined }

  return {
    async run(signal) {
      while (outbox.waiting > 0) {
        // The target forgets with every request that an item failed.
        if (begin.stopAtFailure && outbox.hasFailed) return outbox.refuseWaiting(NOT_TRIED)
        outbox.restart()
        const body = nextBody()
        if (outbox.underWay === 0) continue
        const replies = createReplyHandler(outbox, progress, events)
        replies.push(await post(body, signal))
        if (!replies.end() || outbox.underWay > 0) {
          throw new LinkDown(`the target left ${outbox.underWay} items of a request unanswered`)
        }
      }
    },
  }
}
