import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Clock } from '../../../core/clock.ts'
import { LinkDown } from '../../transport/failures.ts'
import type { StreamProgress } from '../frame-stream.ts'
import { BUNDLE_BYTES } from '../frames/bundle.ts'
import type { StreamBegin } from '../frames/frame.ts'
import { createFrameEncoder, encodeFrame } from '../frames/frame-encoder.ts'
import { FIRST_CREDIT_BYTES } from '../frames/frame-limits.ts'
import { createSealReader, isSealed, type SealReader, seal } from '../frames/sealed-blocks.ts'
import type { Bundler } from './bundler.ts'
import type { LineRate } from './line-rate.ts'
import type { Outbox } from './outbox.ts'
import { createReplyHandler } from './reply-handler.ts'

/** One request whose answer comes while its body goes out. */
export interface DuplexLine {
  /** Sends what waits, as far as credit and connection allow. */
  pump(): void
  /** Nothing more is put in the outbox: END follows what waits there. */
  finish(): void
  destroy(error: unknown): void
}

export interface DuplexEvents {
  /** Once: the line is over, and the target answered all that was sent. `early`: because the way buffers, so more may be waiting. */
  closed(how: 'complete' | 'early'): void
  /** Once, instead. */
  failed(error: unknown): void
  /** `open`: a first word came while the request was open. `buffered`: none did, so that the request was ended for the answers to come. */
  learned(way: 'open' | 'buffered'): void
}

interface DuplexLineDeps {
  readonly request: ClientRequest
  readonly begin: StreamBegin
  readonly outbox: Outbox
  readonly bundler: Bundler
  readonly line: LineRate
  readonly progress: StreamProgress
  readonly clock: Clock
  /** The request is announced as blocks with sums. */
  readonly seals: boolean
  /** Milliseconds to wait for a first word before the way is thought to buffer; undefined: it is known to be open. */
  readonly probeMs: number | undefined
  /** Without a byte from the target. */
  readonly silenceMs: number
  /** Without an acknowledgement that settles something, or the end that is due, however many pings come. */
  readonly stallMs: number
  /** The frames of an answer of HTTP status 200. @throws RemoteRefusal, NotOurProtocol for any other answer. */
  accept(response: IncomingMessage): Promise<void>
  /** What an error of the connection means. */
  failureOf(error: unknown): Error
}

const LOOKS = 4

export function openDuplexLine(deps: DuplexLineDeps, on: DuplexEvents): DuplexLine {
  const { request, outbox, bundler, line, progress, clock } = deps
  const encoder = createFrameEncoder()
  const over = new AbortController()
  let credit = FIRST_CREDIT_BYTES
  let receivedBytes = 0
  let tokens = 0
  let state: 'open' | 'last' | 'sent' = 'open'
  /** Since when the connection takes nothing more. */
  let blockedAt: number | undefined
  let mode: 'probing' | 'proven' | 'buffered' = deps.probeMs === undefined ? 'proven' : 'probing'

  const replies = createReplyHandler(outbox, progress, {
    credit(bytes) {
      credit += bytes
      pump()
    },
  })

  function close(tell: () => void): void {
    if (over.signal.aborted) return
    over.abort()
    tell()
  }
  const fail = (error: unknown) =>
    close(() => {
      request.destroy()
      on.failed(error)
    })

  function write(pieces: readonly Buffer[]): boolean {
    let ready = true
    for (const piece of deps.seals ? seal(pieces) : pieces) ready = request.write(piece) && ready
    return ready
  }
  const ping = () => write([encodeFrame({ type: 'ping', token: ++tokens })])

  function pump(): void {
    if (blockedAt !== undefined || over.signal.aborted || state === 'sent' || mode === 'buffered') return
    while (credit > 0 && outbox.waiting > 0) {
      const { frameBytes, contentBytes } = outbox.fill(encoder, Math.min(credit, BUNDLE_BYTES))
      if (frameBytes === 0) continue
      credit -= frameBytes
      const wire = bundler.wrap(encoder.take())
      const from = clock.now()
      const ready = write(wire)
      progress.sent(contentBytes)
      if (ready) continue
      waitForDrain(wire, from)
      return
    }
    if (state === 'last' && outbox.waiting === 0) sendEnd()
  }
  function waitForDrain(wire: readonly Buffer[], from: number): void {
    blockedAt = clock.now()
    request.once('drain', () => {
      const now = clock.now()
      const bytes = wire.reduce((sum, { length }) => sum + length, 0)
      line.add(bytes, now - blockedAt!, now - from)
      blockedAt = undefined
      pump()
    })
  }
  function sendEnd(): void {
    state = 'sent'
    write([encodeFrame({ type: 'end' })])
    request.end()
  }

  async function read(response: IncomingMessage): Promise<void> {
    // An answer that is none of ours may come before the request was taken whole, and the connection may break with it.
    request.off('error', onError).on('error', () => undefined)
    await deps.accept(response)
    // Its head carries no sum: a target that takes blocks answers so.
    if (deps.seals && !isSealed(response)) throw new LinkDown('the answer of the target changed on its way')
    const blocks = isSealed(response) ? createSealReader() : undefined
    for await (const chunk of response as AsyncIterable<Buffer>) {
      receivedBytes += chunk.length
      // What comes after our END says nothing about the way.
      if (mode === 'probing' && state !== 'sent') {
        mode = 'proven'
        on.learned('open')
      }
      for (const part of blocks === undefined ? [chunk] : opened(blocks, chunk)) replies.push(part)
    }
    if (!replies.end()) throw new LinkDown('the target closed the stream before its end')
    if (mode !== 'buffered' && (outbox.waiting > 0 || state !== 'sent')) {
      throw new LinkDown('the target ended the stream on its own')
    }
    if (outbox.underWay > 0) throw new LinkDown(`the target left ${outbox.underWay} items unanswered`)
    close(() => on.closed(mode === 'buffered' ? 'early' : 'complete'))
  }

  async function probe(waitMs: number): Promise<void> {
    await connected(request)
    await clock.sleep(waitMs, over.signal)
    if (mode !== 'probing') return
    mode = 'buffered'
    on.learned('buffered')
    if (state !== 'sent') sendEnd()
  }

  /** A ping after a quarter of the time without a word; four quarters are the end. Words alone do not count for ever. */
  async function watch(): Promise<void> {
    let [seen, silent] = [receivedBytes, 0]
    let [settled, stalled] = [outbox.settledInAll, 0]
    const lookMs = Math.ceil(deps.silenceMs / LOOKS)
    for (;;) {
      await clock.sleep(lookMs, over.signal)
      const isOwed = state === 'sent' || outbox.underWay > 0 || outbox.waiting > 0
      stalled = isOwed && settled === outbox.settledInAll ? stalled + 1 : 0
      settled = outbox.settledInAll
      if (stalled * lookMs >= deps.stallMs) {
        return fail(new LinkDown(`the target answers, but settled nothing for ${deps.stallMs} ms`))
      }
      silent = seen === receivedBytes ? silent + 1 : 0
      seen = receivedBytes
      if (silent >= LOOKS) return fail(new LinkDown(`no word from the target for ${deps.silenceMs} ms`))
      if (silent > 0 && state !== 'sent') ping()
    }
  }

  const onError = (error: unknown) => fail(deps.failureOf(error))
  const quietly = (work: Promise<void>) => void work.catch(() => undefined)
  request.on('error', onError)
  request.once('response', (response) => read(response).catch((error: unknown) => fail(deps.failureOf(error))))
  write([encodeFrame({ type: 'begin', begin: deps.begin }), encodeFrame({ type: 'ping', token: ++tokens })])
  if (deps.probeMs !== undefined) quietly(probe(deps.probeMs))
  quietly(watch())

  return {
    pump,
    finish() {
      if (state === 'open') state = 'last'
      pump()
    },
    destroy: fail,
  }
}

function opened(blocks: SealReader, chunk: Buffer): Buffer[] {
  try {
    return blocks.push(chunk)
  } catch (cause) {
    throw new LinkDown('the answer of the target changed on its way', { cause })
  }
}

async function connected(request: ClientRequest): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = ({ connecting }: { readonly connecting: boolean }) => {
      if (connecting) request.socket?.once(request.protocol === 'https:' ? 'secureConnect' : 'connect', resolve)
      else resolve()
    }
    if (request.socket) check(request.socket)
    else request.once('socket', check)
  })
}
