import { Readable } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import type { Clock } from '../../../core/clock.ts'
import { shrinks } from '../frames/bundle.ts'
import type { LineRate } from './line-rate.ts'

/** A body as it goes out, and the headers that say how. */
export interface OutgoingBody {
  readonly body: Readable
  /** Undefined: not known before its end. */
  readonly bodyBytes: number | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** With `content-encoding: zstd`: how many bytes come out, in decimal. The target takes no more and no less. */
export const DECODED_LENGTH = 'x-decoded-length'
const SAMPLE_BYTES = 64 * 1024
const LEVEL = 1

/** The body packed, when its first 64 KiB shrink by more than a tenth; else as it is. Errors of the source come out of it. */
export async function packedBody(source: Readable, sizeBytes: number): Promise<OutgoingBody> {
  const chunks: AsyncIterator<Buffer> = source[Symbol.asyncIterator]()
  const head: Buffer[] = []
  let headBytes = 0
  while (headBytes < Math.min(SAMPLE_BYTES, sizeBytes)) {
    const next = await chunks.next()
    if (next.done === true) break
    head.push(next.value)
    headBytes += next.value.length
  }
  const whole = Readable.from(joined(head, chunks), { objectMode: false })
  if (!shrinks(Buffer.concat(head).subarray(0, SAMPLE_BYTES))) return { body: whole, bodyBytes: sizeBytes, headers: {} }
  const packing = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
  whole.on('error', (error) => packing.destroy(error))
  packing.on('close', () => whole.destroy())
  const headers = { 'content-encoding': 'zstd', [DECODED_LENGTH]: String(sizeBytes) }
  return { body: whole.pipe(packing), bodyBytes: undefined, headers }
}

async function* joined(head: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* head
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

/** Learns from the pauses of a body how fast the line takes it. Until the first of them it may have waited for a connection. */
export function measure(body: Readable, line: LineRate, clock: Clock): void {
  let [from, pausedAt, blockedMs, bytes] = [0, 0, 0, 0]
  const end = line.begin()
  const count = (chunk: Buffer) => {
    bytes += chunk.length
  }
  body.on('pause', () => {
    pausedAt = clock.now()
  })
  body.on('resume', () => {
    if (pausedAt === 0) return
    const now = clock.now()
    if (from === 0) {
      from = now
      body.on('data', count)
    } else blockedMs += now - pausedAt
  })
  body.once('close', () => {
    if (from !== 0) line.add(bytes, blockedMs, clock.now() - from)
    end()
  })
}
