import type { FileHandle } from 'node:fs/promises'

/** A write starts with this much at hand: a socket gives 64 KiB at a time, and so small writes cost more than the bytes. */
const WRITE_BYTES = 1024 * 1024
/** Below IOV_MAX (1024 on Linux), the most buffers that one call takes. */
const WRITE_CHUNKS = 512
/** Every so many bytes the disk is set to work: 1 GiB is then durable 10 % earlier than with one sync at its end. */
const SYNC_BYTES = 64 * 1024 * 1024

/** Writes chunks one after another: many in one call, the next gathered while one is written, two batches in memory at most. */
export interface ChunkWriter {
  /** Keeps the chunk's memory until it is written. A promise: full, give nothing before it resolves. @throws what a write threw. */
  write(chunk: Buffer): Promise<void> | undefined
  /** Resolves once all that was given is durable. @throws what a write or a sync threw. */
  end(): Promise<void>
  /** Resolves once nothing is under way, failed or not: the file may be closed then. */
  idle(): Promise<void>
}

export interface WritingOptions {
  /** Hears how far the file is written, without a gap from `start` on. */
  readonly onWritten?: (file: FileHandle, end: number) => void
  /** Gets each chunk once it is written. */
  readonly free?: (chunk: Buffer) => void
}

/** @param file may still be opening, so that chunks can be taken at once. */
export function createChunkWriter(
  file: Promise<FileHandle>,
  start: number,
  { onWritten = () => {}, free = () => {} }: WritingOptions = {},
): ChunkWriter {
  let position = start
  let syncedTo = start
  let gathered: Buffer[] = []
  let gatheredBytes = 0
  let writing: Promise<void> | undefined
  let syncing: Promise<void> | undefined
  let failure: { readonly error: unknown } | undefined

  const fail = (error: unknown) => {
    failure ??= { error }
  }
  const check = () => {
    if (failure !== undefined) throw failure.error
  }
  const isFull = () => gatheredBytes >= WRITE_BYTES || gathered.length >= WRITE_CHUNKS
  const startWrite = (): Promise<void> => {
    const [chunks, at] = [gathered, position]
    position += gatheredBytes
    gathered = []
    gatheredBytes = 0
    writing = writeAll(file, chunks, at)
      .then((written) => {
        onWritten(written.file, written.end)
        chunks.forEach(free)
      })
      .catch(fail)
      .then(() => {
        writing = undefined
        if (failure !== undefined) return
        if (isFull()) startWrite()
        if (position - syncedTo >= SYNC_BYTES && syncing === undefined) startSync()
      })
    return writing
  }
  const startSync = () => {
    syncedTo = position
    // The system tells of a failed write-back once only: it must not be lost here.
    syncing = sync(file)
      .catch(fail)
      .then(() => {
        syncing = undefined
      })
  }
  const idle = async () => {
    while (writing !== undefined || syncing !== undefined) await (writing ?? syncing)
  }

  return {
    write(chunk) {
      check()
      // No bytes to write would look like a system that takes none.
      if (chunk.length === 0) return undefined
      gathered.push(chunk)
      gatheredBytes += chunk.length
      if (!isFull()) return undefined
      if (writing !== undefined) return writing.then(check)
      startWrite()
      return undefined
    },
    async end() {
      await idle()
      check()
      if (gathered.length > 0) await startWrite()
      await idle()
      check()
      await sync(file)
    },
    idle,
  }
}

async function sync(opening: Promise<FileHandle>): Promise<void> {
  await (await opening).datasync()
}

async function writeAll(opening: Promise<FileHandle>, chunks: Buffer[], start: number) {
  const file = await opening
  let left = chunks
  let position = start
  while (left.length > 0) {
    const { bytesWritten } = await file.writev(left, position)
    if (bytesWritten === 0) throw new Error('The system took no bytes and gave no error')
    position += bytesWritten
    left = withoutFirst(left, bytesWritten)
  }
  return { file, end: position }
}

/** A write may take less than it was given. */
function withoutFirst(chunks: readonly Buffer[], count: number): Buffer[] {
  let skip = count
  const at = chunks.findIndex((chunk) => {
    if (chunk.length > skip) return true
    skip -= chunk.length
    return false
  })
  return at === -1 ? [] : [chunks[at]!.subarray(skip), ...chunks.slice(at + 1)]
}
