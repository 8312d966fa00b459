import { constants, copyFile, type FileHandle, type link, open, rename, rm } from 'node:fs/promises'
import { AppError } from '../../core/errors.ts'
import type { ObjectReader, ObjectWriter } from '../backup-location.ts'
import { draftNameOf } from '../object-name.ts'
import { type BackupFolders, linked } from './backup-folders.ts'
import { tellingOfPlace } from './backup-trouble.ts'
import { hasErrno } from './directories.ts'

export const FILE_MODE = 0o600
/** Smaller chunks are collected up to this much. */
const COLLECTED_BYTES = 256 * 1024
// A pipe would hold up whoever opens it.
const READ_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** The seam at which tests let a disk fail. */
export type OpenFile = typeof open

export interface DraftFile {
  readonly name: string
  readonly file: FileHandle
}

/** A file beside the object that it will be, of a name that nobody has. */
export async function openDraft(folders: BackupFolders, name: string, openFile: OpenFile): Promise<DraftFile> {
  await folders.makeAbove(name)
  for (let attempt = 0; ; attempt++) {
    const draft = draftNameOf(name, attempt)
    try {
      const file = await openFile(folders.pathOf(draft), 'wx+', FILE_MODE)
      await file.chmod(FILE_MODE)
      return { name: draft, file }
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
    }
  }
}

/** The seam at which tests have a filesystem without links. */
export type LinkFile = typeof link

/** Gives a draft its name too, if that is free. @returns whether it was. Where files cannot have two names, a copy of it. */
export async function linkNew(draft: string, path: string, linkFile: LinkFile): Promise<boolean> {
  try {
    await linkFile(draft, path).catch((error) => {
      if (!hasErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error
      return copyNew(draft, path)
    })
    return true
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
    return false
  }
}

async function copyNew(draft: string, path: string): Promise<void> {
  await copyFile(draft, path, constants.COPYFILE_EXCL)
  const copy = await open(path, 'r+')
  try {
    await copy.sync()
  } finally {
    await copy.close()
  }
}

export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    if (bytesWritten === 0) throw new Error('The disk takes no more bytes, and says nothing of why')
    done += bytesWritten
  }
}

/** @param place path of the location, for messages. */
export function objectWriter(
  place: string,
  folders: BackupFolders,
  name: string,
  { name: draft, file }: DraftFile,
): ObjectWriter {
  let collected: Buffer | undefined
  let filled = 0
  let at = 0
  let state: 'open' | 'closed' | 'published' = 'open'

  async function flush(): Promise<void> {
    if (collected === undefined || filled === 0) return
    await writeAll(file, collected.subarray(0, filled), at)
    at += filled
    filled = 0
  }
  return {
    write: (chunk) =>
      tellingOfPlace(place, async () => {
        if (filled + chunk.length > COLLECTED_BYTES) await flush()
        if (chunk.length > COLLECTED_BYTES / 2) {
          await flush()
          await writeAll(file, chunk, at)
          at += chunk.length
          return
        }
        collected ??= Buffer.allocUnsafeSlow(COLLECTED_BYTES)
        collected.set(chunk, filled)
        filled += chunk.length
      }),
    publish: () =>
      tellingOfPlace(place, async () => {
        await flush()
        await file.sync()
        await file.close()
        state = 'closed'
        await rename(folders.pathOf(draft), folders.pathOf(name))
        state = 'published'
        await folders.changed(name)
      }),
    reread: () =>
      tellingOfPlace(place, async () => {
        await flush()
        await file.sync()
        return openObject(folders.pathOf(draft))
      }),
    async [Symbol.asyncDispose]() {
      if (state === 'published') return
      if (state === 'open') await file.close()
      await rm(folders.pathOf(draft), { force: true })
    },
  }
}

/** @throws AppError ARTIFACT_BROKEN when it is a link, a pipe or the like; when its bytes are read, where the disk cannot give them. */
export async function openObject(path: string, openFile: OpenFile = open): Promise<ObjectReader> {
  const file = await openPlain(path, openFile)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw linked(path)
    return {
      sizeBytes: stat.size,
      async read(into, position, signal) {
        let filled = 0
        while (filled < into.length) {
          signal.throwIfAborted()
          const reading = file.read(into, filled, into.length - filled, position + filled)
          const { bytesRead } = await reading.catch((error) => {
            throw hasErrno(error, 'EIO') ? unreadable(path, error) : error
          })
          if (bytesRead === 0) break
          filled += bytesRead
        }
        return filled
      },
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function openPlain(path: string, openFile: OpenFile): Promise<FileHandle> {
  try {
    return await openFile(path, READ_FLAGS)
  } catch (error) {
    if (hasErrno(error, 'ELOOP', 'EMLINK', 'ENXIO')) throw linked(path)
    throw error
  }
}

/** One sector of one object: the rest of the place may be whole. */
const unreadable = (path: string, cause: unknown): AppError =>
  new AppError(
    'ARTIFACT_BROKEN',
    `The disk cannot read [${path}]: look after it, and take the file from a copy`,
    {},
    { cause },
  )
export const objectUnknown = (path: string): AppError => new AppError('BLOB_UNKNOWN', `[${path}] is not there`, {})
