import type { Readable } from 'node:stream'
import { ociError } from './errors.ts'
import { MAX_MANIFEST_BYTES, manifestTooLarge } from './manifest.ts'
import type { ImageRequest } from './operation.ts'

/**
 * The body of a push. What is too long is read to its end, up to four times the limit, so that the client hears why it was refused.
 * @throws AppError SIZE_INVALID; MANIFEST_INVALID for none.
 */
export async function readManifestBody({ headers, openBody, signal }: ImageRequest): Promise<Buffer> {
  const length = Number(headers['content-length'] ?? 0)
  if (length > MOST_DRAINED_BYTES) throw manifestTooLarge()
  const chunks: Buffer[] = []
  let total = 0
  await eachChunk(openBody(), signal, (chunk) => {
    total += chunk.length
    if (total <= MAX_MANIFEST_BYTES) chunks.push(chunk)
    return total <= MOST_DRAINED_BYTES
  })
  if (total > MAX_MANIFEST_BYTES) throw manifestTooLarge()
  if (total === 0) throw ociError('MANIFEST_INVALID', 'The manifest is invalid: the request has no body')
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}
const MOST_DRAINED_BYTES = 4 * MAX_MANIFEST_BYTES

/** Leaves the source paused, not destroyed, when `take` wants no more: the answer goes out on the same connection. */
function eachChunk(source: Readable, signal: AbortSignal, take: (chunk: Buffer) => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onData = (chunk: Buffer) => {
    if (take(chunk)) return
    source.pause()
    resolve()
  }
  const onClose = () => reject(ociError('MANIFEST_INVALID', 'The manifest is invalid: its body ended too early'))
  const onAbort = () => reject(signal.reason)
  source.on('data', onData).once('end', resolve).once('error', reject).once('close', onClose)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return promise.finally(() => {
    source.off('data', onData).off('end', resolve).off('error', reject).off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  })
}
