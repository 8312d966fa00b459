import type { Readable } from 'node:stream'

const giving = new WeakSet<Readable>()

/**
 * Marks a source whose chunks are their reader's alone, as those of a request are. Whoever has written one to disk frees its memory at
 * once. Left to the collector, every 64 MiB of them would start it: a third of the processor time of a large upload.
 */
export function giveChunks<Source extends Readable>(source: Source): Source {
  giving.add(source)
  return source
}

/** The same for what only passes the chunks of `from` on. */
export const giveOn = <Source extends Readable>(from: Readable, source: Source): Source =>
  giving.has(from) ? giveChunks(source) : source

/** For chunks of `source` that nobody needs any more: frees them, when they are given. */
export const freeing = (source: Readable): ((chunk: Buffer) => void) => (giving.has(source) ? freeWhole : keep)

const givenBytes = new WeakSet<Buffer>()

/** The same for bytes that come in one piece, whatever memory they are a part of: all of it is their reader's. */
export function giveBytes(bytes: Buffer): Buffer {
  givenBytes.add(bytes)
  return bytes
}
export const isGiven = (bytes: Buffer): boolean => givenBytes.has(bytes)
/** Nobody may use them any more, nor may a write of them be under way. Others are left alone. */
export function freeBytes(bytes: Buffer): void {
  if (givenBytes.delete(bytes) && bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0)
}

/** A chunk that shares its memory with others is left alone. */
function freeWhole({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
const keep = () => {}
