import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type Digest, digestFromBytes, digestOfBytes } from '../../src/core/digest.ts'

const CHUNK_BYTES = 64 * 1024

/** Of a text's UTF-8 bytes. */
export const digestOf = (text: string): Digest => digestOfBytes(text)

/** Bytes or text as a stream, in as many chunks as are given. */
export function streamOf(...chunks: (Uint8Array | string)[]): Readable {
  return Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  )
}

/** Gives `chunks` and then breaks with `error`. */
export function brokenStream(error: Error, ...chunks: (Uint8Array | string)[]): Readable {
  async function* broken() {
    for (const chunk of chunks) yield Buffer.from(chunk)
    throw error
  }
  return Readable.from(broken(), { objectMode: false })
}

/** Gives `chunks` and then neither more nor an end, as a client does whose line is dead. */
export function hangingStream(...chunks: (Uint8Array | string)[]): Readable {
  const left = chunks.map((chunk) => Buffer.from(chunk))
  return new Readable({
    read() {
      const next = left.shift()
      if (next !== undefined) this.push(next)
    },
  })
}

/** Bytes that look random and do not compress; the same for the same seed, in every run. In chunks of 64 KiB. */
export function* seededChunks(seed: number, sizeBytes: number): Generator<Buffer> {
  const key = createHash('sha256').update(`seed ${seed}`).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros)
  }
}
export const seededBytes = (seed: number, sizeBytes: number): Buffer =>
  Buffer.concat([...seededChunks(seed, sizeBytes)])
export const seededStream = (seed: number, sizeBytes: number): Readable =>
  Readable.from(seededChunks(seed, sizeBytes), { objectMode: false })

/** What `seededStream` of the same arguments hashes to, without holding it. */
export function seededDigest(seed: number, sizeBytes: number): Digest {
  const hash = createHash('sha256')
  for (const chunk of seededChunks(seed, sizeBytes)) hash.update(chunk)
  return digestFromBytes(hash.digest())
}

/** Reads a stream to its end. */
export const bytesOf = (stream: Readable): Promise<Buffer> => buffer(stream)
export const textOf = async (stream: Readable): Promise<string> => (await bytesOf(stream)).toString()

/** Reads a stream to its end without holding it. */
export async function digestOfStream(stream: Readable): Promise<Digest> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return digestFromBytes(hash.digest())
}
