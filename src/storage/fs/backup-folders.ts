import { chmod, lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError } from '../../core/errors.ts'
import { isInDraft } from '../object-name.ts'
import { hasErrno, syncDirectory } from './directories.ts'

const FOLDER_MODE = 0o700
const SYNCS_AT_ONCE = 8

/** The folders of a location: made for their owner alone, durable, and never reached through a link. */
export interface BackupFolders {
  /** Of an object. */
  pathOf(name: string): string
  /** Makes the folders above an object, as far as they are missing. */
  makeAbove(name: string): Promise<void>
  /** @returns whether the folder above the object is there. @throws AppError ARTIFACT_BROKEN when it is reached through a link. */
  checkAbove(name: string): Promise<boolean>
  /** A name in the folder above was added or removed: durable at once, or with the draft folder that it is in. */
  changed(name: string): Promise<void>
  /** Makes durable what changed in a draft folder. */
  settle(draft: string, signal: AbortSignal): Promise<void>
  /** Folders below this one are gone, or have another name. */
  forget(prefix: string): void
}

export function createBackupFolders(root: string): BackupFolders {
  /** Being made, or there. */
  const made = new Map<string, Promise<void>>()
  /** Folders in drafts, whose names are not durable yet. */
  const unsettled = new Set<string>()
  let realRoot: string | undefined
  const pathOf = (name: string) => (name === '' ? root : join(root, name))
  const folderAbove = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('/')))

  function unsettledBelow(prefix: string): string[] {
    const top = pathOf(prefix)
    return [...unsettled].filter((folder) => folder === top || folder.startsWith(join(top, '/')))
  }
  async function sync(folder: string, inDraft: boolean): Promise<void> {
    if (inDraft) unsettled.add(folder)
    else await syncDirectory(folder)
  }
  async function makeFolder(path: string, inDraft: boolean): Promise<void> {
    try {
      await mkdir(path, { mode: FOLDER_MODE })
      await chmod(path, FOLDER_MODE)
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
      if (!(await lstat(path)).isDirectory()) throw linked(path)
    }
    await sync(dirname(path), inDraft)
  }
  async function makeRoot(path: string): Promise<void> {
    if (await isFolder(path)) return
    await makeRoot(dirname(path))
    await makeFolder(path, false)
  }
  /** @param folder below the root; empty: the root itself. */
  function make(folder: string): Promise<void> {
    const known = made.get(folder)
    if (known !== undefined) return known
    const making = (async () => {
      if (folder === '') return makeRoot(root)
      await make(folderAbove(folder))
      await makeFolder(pathOf(folder), isInDraft(folder))
    })()
    made.set(folder, making)
    making.catch(() => made.delete(folder))
    return making
  }

  return {
    pathOf,
    makeAbove: (name) => make(folderAbove(name)),
    async checkAbove(name) {
      const folder = folderAbove(name)
      try {
        realRoot ??= await realpath(root)
        const real = await realpath(pathOf(folder))
        if (real !== (folder === '' ? realRoot : join(realRoot, folder))) throw linked(pathOf(folder))
        return true
      } catch (error) {
        if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return false
        throw hasErrno(error, 'ELOOP') ? linked(pathOf(folder)) : error
      }
    },
    changed: (name) => sync(pathOf(folderAbove(name)), isInDraft(name)),
    async settle(draft, signal) {
      const inside = unsettledBelow(draft)
      await mapConcurrent(inside, SYNCS_AT_ONCE, syncDirectory, signal)
      for (const folder of inside) unsettled.delete(folder)
    },
    forget(prefix) {
      made.clear()
      for (const folder of unsettledBelow(prefix)) unsettled.delete(folder)
    },
  }
}

export const linked = (path: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `[${path}] is a link, or no plain file or folder: a backup does not follow it`, {})

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
}
