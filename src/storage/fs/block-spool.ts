import { createReadStream } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { AppError } from '../../core/errors.ts'
import type { BlockSpool } from '../block-spool.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'
import { createHashThread, type HashThread } from './hash-thread.ts'
import { removeFile, writeIncoming } from './incoming-file.ts'

const NAME = /^[A-Za-z0-9_-]{1,64}$/
/** Per read, of which two are in memory at most. */
const READ_BYTES = 256 * 1024

export interface FsBlockSpoolConfig {
  readonly root: string
  /** Of the process; else one of its own. */
  readonly hashing?: HashThread
}

/** Blocks in `<root>/.blocks/<uploadId>/<name>`. Processes may share the root. */
export async function openFsBlockSpool({
  root,
  hashing = createHashThread(),
}: FsBlockSpoolConfig): Promise<BlockSpool> {
  const top = join(root, '.blocks')
  await mkdir(root, { recursive: true })
  await makeDirectory(top)

  const directoryOf = (uploadId: string): string => join(top, checked(uploadId))
  const fileOf = (uploadId: string, name: string): string => join(directoryOf(uploadId), checked(name))

  async function* read(uploadId: string, names: readonly string[], signal: AbortSignal): AsyncGenerator<Buffer> {
    for (const name of names) {
      try {
        yield* createReadStream(fileOf(uploadId, name), { highWaterMark: READ_BYTES, signal })
      } catch (cause) {
        throw hasErrno(cause, 'ENOENT') ? blockGone(uploadId, cause) : cause
      }
    }
  }

  return {
    async put(uploadId, name, source, options, signal) {
      const directory = directoryOf(uploadId)
      const file = fileOf(uploadId, name)
      // Until it is read: a source that breaks without a listener ends the process.
      source.on('error', () => {})
      await makeDirectory(directory)
      const block = await writeIncoming({ path: file, source, hashing }, options, signal)
      await syncDirectory(directory)
      return block
    },
    open: (uploadId, names, signal) => Readable.from(read(uploadId, names, signal), { objectMode: false }),
    remove: (uploadId, name) => removeFile(fileOf(uploadId, name)),
    async removeUpload(uploadId) {
      await rm(directoryOf(uploadId), { recursive: true, force: true })
    },
    async *list(signal) {
      for (const name of (await readdir(top)).sort()) {
        signal.throwIfAborted()
        if (NAME.test(name)) yield name
      }
    },
  }
}

function checked(name: string): string {
  if (!NAME.test(name)) throw new Error(`not a name of an upload or a block: ${name.slice(0, 80)}`)
  return name
}

const blockGone = (uploadId: string, cause: unknown): AppError =>
  new AppError(
    'UPLOAD_INCONSISTENT',
    `A block of upload [${uploadId}] was replaced or removed meanwhile`,
    {},
    { cause },
  )
