import { type FileHandle, link, mkdir, open, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PushStat } from '../push-spool.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'
import { removeFile } from './incoming-file.ts'
import { pushBusy, uploadUnknown } from './upload-errors.ts'

/** An id becomes a file name. */
const PUSH_ID = /^[A-Za-z0-9_-]{1,128}$/
/** A push may change its name just between two looks. */
const LOOK_UPS = 3

/**
 * The names of pushes: `<root>/.pushes/<pushId>`, and `<pushId>.<owner>` while a process works on it. Taking one is a rename, which of
 * several processes one only can do. Inside the process nobody asks for a push that is taken.
 */
export interface PushFiles {
  /** While it is taken. @throws AppError UPLOAD_UNKNOWN for what is no id. */
  pathOf(pushId: string): string
  /** @returns whether there is one. @throws AppError UPLOAD_INCONSISTENT when another process has it. */
  take(pushId: string): Promise<boolean>
  /** A push that nobody has; it is taken. Its name is durable once `sync` resolves that began afterwards. */
  make(pushId: string): Promise<FileHandle>
  sync(): Promise<void>
  /** @throws AppError UPLOAD_INCONSISTENT when another process has made a push of the same id meanwhile: ours is gone. */
  release(pushId: string): Promise<void>
  /** Under all its names. Missing is fine. */
  remove(pushId: string): Promise<void>
  sizeOf(pushId: string): Promise<number | undefined>
  list(): Promise<PushStat[]>
}

/** @param owner installation id: what it had taken when it died is released. */
export async function openPushFiles(root: string, owner: string): Promise<PushFiles> {
  const top = join(root, '.pushes')
  await mkdir(root, { recursive: true })
  await makeDirectory(top)
  const freePath = (pushId: string): string => {
    if (!PUSH_ID.test(pushId)) throw uploadUnknown(pushId)
    return join(top, pushId)
  }
  const pathOf = (pushId: string): string => `${freePath(pushId)}.${owner}`

  async function namesOf(pushId: string): Promise<string[]> {
    freePath(pushId)
    return (await readdir(top)).filter((name) => name === pushId || name.startsWith(`${pushId}.`))
  }
  async function release(pushId: string): Promise<void> {
    const [free, taken] = [freePath(pushId), pathOf(pushId)]
    try {
      await link(taken, free)
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw hasErrno(error, 'ENOENT') ? uploadUnknown(pushId) : error
      const [ours, theirs] = await Promise.all([taken, free].map((path) => stat(path, { bigint: true })))
      if (ours?.ino !== theirs?.ino) {
        await removeFile(taken)
        throw pushBusy(pushId)
      }
    }
    await removeFile(taken)
  }
  for (const name of await readdir(top)) {
    if (name.endsWith(`.${owner}`)) await release(name.slice(0, -owner.length - 1)).catch(() => {})
  }

  return {
    pathOf,
    async take(pushId) {
      const taken = pathOf(pushId)
      for (let tried = 1; tried <= LOOK_UPS; tried++) {
        try {
          await rename(freePath(pushId), taken)
          return true
        } catch (error) {
          if (!hasErrno(error, 'ENOENT')) throw error
        }
        const names = await namesOf(pushId)
        if (names.length === 0) return false
        // A release that failed half-way.
        if (names.includes(`${pushId}.${owner}`)) return true
        if (!names.includes(pushId)) throw pushBusy(pushId)
      }
      throw pushBusy(pushId)
    },
    make: (pushId) => open(pathOf(pushId), 'wx+'),
    sync: () => syncDirectory(top),
    release,
    async remove(pushId) {
      for (const name of await namesOf(pushId)) await removeFile(join(top, name))
    },
    async sizeOf(pushId) {
      for (let tried = 1; tried <= LOOK_UPS; tried++) {
        const found = (await sizeAt(freePath(pushId))) ?? (await sizeAt(pathOf(pushId)))
        if (found !== undefined) return found
        const [name] = await namesOf(pushId)
        if (name === undefined) return undefined
        const elsewhere = await sizeAt(join(top, name))
        if (elsewhere !== undefined) return elsewhere
      }
      return undefined
    },
    async list() {
      const pushes: PushStat[] = []
      for (const name of (await readdir(top)).sort()) {
        const changedAt = await changeOf(join(top, name))
        if (changedAt !== undefined) pushes.push({ pushId: name.split('.')[0]!, changedAt })
      }
      return pushes
    },
  }
}

async function unlessGone<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
const sizeAt = async (path: string): Promise<number | undefined> => (await unlessGone(stat(path)))?.size
const changeOf = async (path: string): Promise<number | undefined> => (await unlessGone(stat(path)))?.mtimeMs
