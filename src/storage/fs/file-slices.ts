import type { FileHandle } from 'node:fs/promises'

/** Hashed in one go on the main thread: half a millisecond. */
const SLICE_BYTES = 1024 * 1024

/** A range of a file; the next slice is read while the caller works on the one before, whose memory is used again after that. */
export async function* fileSlices(
  file: FileHandle,
  { offset, sizeBytes }: { readonly offset: number; readonly sizeBytes: number },
): AsyncGenerator<Buffer> {
  const length = Math.min(SLICE_BYTES, sizeBytes)
  const buffers = [Buffer.allocUnsafe(length), Buffer.allocUnsafe(length)] as const
  const end = offset + sizeBytes
  const read = (at: number, turn: number) =>
    file.read(buffers[turn % 2 === 0 ? 0 : 1], 0, Math.min(SLICE_BYTES, end - at), at)
  let reading = read(offset, 0)
  try {
    for (let at = offset, turn = 0; at < end; turn++) {
      const { buffer, bytesRead } = await reading
      if (bytesRead === 0) throw new Error('A file is shorter than it was')
      at += bytesRead
      if (at < end) reading = read(at, turn + 1)
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    // The file is closed next, also when the caller leaves early.
    await reading.catch(() => {})
  }
}
