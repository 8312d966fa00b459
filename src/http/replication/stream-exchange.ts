import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { PingFrame, SourceFrame, TargetFrame } from '../../remotes/cluster/frames/frame.ts'
import { encodeFrame } from '../../remotes/cluster/frames/frame-encoder.ts'
import {
  broken,
  FIRST_CREDIT_BYTES,
  FRAME_BYTES,
  FRAMES_MEDIA_TYPE,
} from '../../remotes/cluster/frames/frame-limits.ts'
import { readSourceFrames } from '../../remotes/cluster/frames/frame-reader.ts'
import { createSealReader, isSealed, SEALED, seal } from '../../remotes/cluster/frames/sealed-blocks.ts'
import { httpStatusOf, WIRE } from '../envelope.ts'
import { openBody } from '../raw-body.ts'
import { dropRest } from '../unread-body.ts'
import { type ChunkSource, chunksOf } from './chunk-source.ts'

type Incoming = Exclude<SourceFrame, PingFrame>

/** One stream of another cluster at the edge: bytes in and out, pings, credit; the use case sees frames. */
export interface StreamExchange {
  /** Pings are answered here. Ends after END, and without it when the source or `stop` ended the body. */
  frames(): AsyncIterable<readonly Incoming[]>
  /** Resolves when more may be written. With each ACK goes credit for what it settles. */
  reply(frame: TargetFrame): Promise<void>
  /** Says why the stream ends. @throws the error itself while no answer was begun: it becomes the usual envelope. */
  refuse(error: unknown): Promise<void>
  /** Ends the answer, and the connection when its body is not at its end. */
  close(): Promise<void>
  /** No more frames are taken: what came is settled, and the answer ends without END. */
  stop(): void
}

/** From the first byte of the request to the last one of BEGIN. */
const BEGIN_MS = 10_000
/** Half of what the source waits for a word. */
const KEEP_ALIVE_MS = 10_000
/** A ping that wants no answer. */
const KEEP_ALIVE = encodeFrame({ type: 'ping', token: 0 })

export function createStreamExchange(
  request: FastifyRequest,
  reply: FastifyReply,
  inlineMaxBytes: number,
  clock: Clock,
): StreamExchange {
  const out = reply.raw
  const over = new AbortController()
  const begun = new AbortController()
  const seals = isSealed(request)
  const credit = createCreditBook(FIRST_CREDIT_BYTES + FRAME_BYTES + inlineMaxBytes)
  let chunks: ChunkSource | undefined
  let writes = 0

  async function write(bytes: Buffer): Promise<void> {
    begin()
    writes++
    const wire = seals ? Buffer.concat(seal([bytes])) : bytes
    if (out.write(wire) || out.closed || out.destroyed) return
    await new Promise<void>((resolve) => {
      const done = () => {
        out.off('drain', done).off('close', done)
        resolve()
      }
      out.on('drain', done).on('close', done)
    })
  }
  function begin(): void {
    if (reply.sent) return
    reply.hijack()
    const headers = { 'content-type': FRAMES_MEDIA_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    out.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), ...headers, ...(seals && SEALED) })
    out.flushHeaders()
  }
  async function expectBegin(arriving: ChunkSource): Promise<void> {
    await clock.sleep(BEGIN_MS, AbortSignal.any([over.signal, begun.signal]))
    arriving.fail(invalidContent(`no BEGIN came within ${BEGIN_MS} ms`))
  }
  async function keepAlive(): Promise<void> {
    for (let seen = writes; ; seen = writes) {
      await clock.sleep(KEEP_ALIVE_MS, over.signal)
      if (seen === writes) await write(KEEP_ALIVE)
    }
  }

  return {
    async *frames() {
      const reader = readSourceFrames(inlineMaxBytes)
      const blocks = seals ? createSealReader() : undefined
      function* slicesOf(chunk: Buffer) {
        for (const part of blocks?.push(chunk) ?? [chunk]) yield* reader.slices(part)
      }
      chunks = chunksOf(openBody(request, reply))
      void expectBegin(chunks).catch(() => undefined)
      for (;;) {
        const chunk = await chunks.next()
        if (chunk === undefined) {
          if (!chunks.isStopped) blocks?.end()
          if (!chunks.isStopped) reader.end()
          return
        }
        for (const slice of slicesOf(chunk)) {
          const batch: Incoming[] = []
          for (const frame of slice) {
            if (frame.type === 'ping') await write(encodeFrame(frame))
            else batch.push(frame)
          }
          if (batch.length === 0) continue
          if (!begun.signal.aborted) {
            begun.abort()
            void keepAlive().catch(() => undefined)
          }
          credit.arrived(batch, reader.creditBytes)
          yield batch
          if (batch.at(-1)!.type === 'end') return
        }
      }
    },
    async reply(frame) {
      const given = frame.type === 'ack' ? credit.settled(frame.hi) : 0
      const bytes = encodeFrame(frame)
      await write(given === 0 ? bytes : Buffer.concat([bytes, encodeFrame({ type: 'credit', bytes: given })]))
    },
    async refuse(error) {
      if (out.closed || out.destroyed) return
      if (!reply.sent) throw error
      await write(encodeFrame(refusalOf(error, request)))
    },
    async close() {
      over.abort()
      chunks?.stop()
      if (!reply.sent) return
      out.end()
      await dropRest(request.raw, clock)
      if (!request.raw.complete) request.raw.socket.destroy()
    },
    stop: () => chunks?.stop(),
  }
}

function refusalOf(error: unknown, { id, url, log }: FastifyRequest): TargetFrame {
  if (error instanceof AppError && error.code !== 'SYSTEM_ERROR') {
    return { type: 'refused', code: WIRE[error.code][0], status: httpStatusOf(error, url), reason: error.message }
  }
  log.error({ err: error }, 'a stream of another cluster failed')
  const [code, status] = WIRE.SYSTEM_ERROR
  return { type: 'refused', code, status, reason: `System service is busy, please try again later (trace ${id})` }
}

/** What the source may send anew: the bytes of frames whose items are settled, chunk by chunk. */
function createCreditBook(mostUnsettledBytes: number) {
  const arrived: { readonly item: number; bytes: number }[] = []
  let lastItem = 0
  let givenBytes = 0
  return {
    /**
     * @param bytes of frames of the stream up to here. @throws AppError ARTIFACT_BROKEN when items do not ascend,
     * REQUEST_CONTENT_INVALID for more than there was credit for.
     */
    arrived(frames: readonly Incoming[], bytes: number): void {
      for (const frame of frames) {
        if (!('item' in frame)) continue
        if (frame.item <= lastItem) throw broken(`item ${frame.item} came after item ${lastItem}`)
        lastItem = frame.item
      }
      if (bytes - givenBytes > mostUnsettledBytes) {
        throw invalidContent(
          `${bytes - givenBytes} bytes came that are not settled, more than the credit of the stream`,
        )
      }
      const last = arrived.at(-1)
      if (last?.item === lastItem) last.bytes = bytes
      else arrived.push({ item: lastItem, bytes })
    },
    /** @returns bytes to give. */
    settled(hi: number): number {
      let reached = givenBytes
      let count = 0
      for (; count < arrived.length && arrived[count]!.item <= hi; count++) reached = arrived[count]!.bytes
      arrived.splice(0, count)
      const given = reached - givenBytes
      givenBytes = reached
      return given
    },
  }
}

const invalidContent = (why: string) => new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${why}`)
