import { link, lstat, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError } from '../../core/errors.ts'
import type { BackupLocation, ChildName, StoredObject } from '../backup-location.ts'
import { checkObjectName, isDraftName, isObjectName } from '../object-name.ts'
import { createBackupFolders, linked } from './backup-folders.ts'
import {
  type LinkFile,
  linkNew,
  type OpenFile,
  objectUnknown,
  objectWriter,
  openDraft,
  openObject,
  writeAll,
} from './backup-object.ts'
import { tellingOfPlace } from './backup-trouble.ts'
import { hasErrno } from './directories.ts'

const LOOKS_AT_ONCE = 8

/** Backups in a folder, which is made when something is written. @param openFile where tests let a disk fail, as by linkFile. */
export function createFsBackupLocation(
  path: string,
  openFile: OpenFile = open,
  linkFile: LinkFile = link,
): BackupLocation {
  const root = resolve(path)
  const folders = createBackupFolders(root)
  const { pathOf } = folders
  const telling = <T>(work: () => Promise<T>): Promise<T> => tellingOfPlace(root, work)

  async function find(name: string): Promise<StoredObject | undefined> {
    if (!(await folders.checkAbove(name))) return undefined
    try {
      const stat = await lstat(pathOf(name))
      if (!stat.isFile()) return undefined
      return { name, sizeBytes: stat.size, modifiedAt: Math.floor(stat.mtimeMs) }
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }
  /** Publishes a small object by `show`, which gives the draft its name. */
  function putBy<T>(name: string, bytes: Uint8Array, show: (draft: string) => Promise<T>): Promise<T> {
    return telling(async () => {
      const draft = await openDraft(folders, name, openFile)
      try {
        try {
          await writeAll(draft.file, bytes, 0)
          await draft.file.sync()
        } finally {
          await draft.file.close()
        }
        const shownAs = await show(pathOf(draft.name))
        await folders.changed(name)
        return shownAs
      } catch (error) {
        await rm(pathOf(draft.name), { force: true })
        throw error
      }
    })
  }
  async function children(prefix: string): Promise<ChildName[]> {
    if (prefix !== '') checkObjectName(prefix)
    // The name of a child stands for all: only the folder above it counts.
    if (!(await folders.checkAbove(prefix === '' ? 'x' : `${prefix}/x`))) return []
    const entries = await readdir(pathOf(prefix), { withFileTypes: true }).catch((error) => {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return []
      throw error
    })
    return entries
      .map((entry) => ({
        name: entry.name,
        kind: entry.isFile() ? ('object' as const) : entry.isDirectory() ? ('folder' as const) : ('other' as const),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  async function* list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    const inside = (await children(prefix))
      .filter(({ name }) => !isDraftName(name) && isObjectName(name))
      .map(({ name, kind }) => ({ name: prefix === '' ? name : `${prefix}/${name}`, kind }))
    const objects = inside.filter(({ kind }) => kind === 'object')
    const found = await mapConcurrent(objects, LOOKS_AT_ONCE, ({ name }) => find(name), signal)
    yield* found.filter((object) => object !== undefined)
    for (const { name, kind } of inside) if (kind === 'folder') yield* list(name, signal)
  }

  return {
    path: root,
    create(name, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      return telling(async () => objectWriter(root, folders, name, await openDraft(folders, name, openFile)))
    },
    async put(name, bytes, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      await putBy(name, bytes, (draft) => rename(draft, pathOf(name)))
    },
    async putNew(name, bytes, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      return putBy(name, bytes, async (draft) => {
        try {
          return await linkNew(draft, pathOf(name), linkFile)
        } finally {
          await unlink(draft)
        }
      })
    },
    async open(name, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      if (!(await folders.checkAbove(name))) throw objectUnknown(pathOf(name))
      try {
        return await telling(() => openObject(pathOf(name), openFile))
      } catch (error) {
        throw hasErrno(error, 'ENOENT') ? objectUnknown(pathOf(name)) : error
      }
    },
    async find(name, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      return find(name)
    },
    list,
    async children(prefix, signal) {
      signal.throwIfAborted()
      return children(prefix)
    },
    async delete(name, signal) {
      checkObjectName(name)
      signal.throwIfAborted()
      if (!(await folders.checkAbove(name))) return
      await telling(async () => {
        await rm(pathOf(name), { force: true })
        await folders.changed(name)
      })
    },
    async rename(draft, name, signal) {
      checkObjectName(draft)
      checkObjectName(name)
      signal.throwIfAborted()
      if (!(await folders.checkAbove(`${draft}/x`))) throw objectUnknown(pathOf(draft))
      await telling(async () => {
        await folders.settle(draft, signal)
        await folders.makeAbove(name)
        if (await isThere(pathOf(name))) throw existed(pathOf(name))
        await rename(pathOf(draft), pathOf(name)).catch((error) => {
          throw hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR') ? existed(pathOf(name)) : error
        })
        folders.forget(draft)
        await folders.changed(name)
        await folders.changed(draft)
      })
    },
    async deleteAll(prefix, signal) {
      checkObjectName(prefix)
      signal.throwIfAborted()
      if (!(await folders.checkAbove(prefix))) return
      const entry = await lstat(pathOf(prefix)).catch(() => undefined)
      if (entry === undefined) return
      if (!entry.isDirectory()) throw linked(pathOf(prefix))
      await telling(async () => {
        await rm(pathOf(prefix), { recursive: true, force: true })
        folders.forget(prefix)
        await folders.changed(prefix)
      })
    },
    async sync(prefix, signal) {
      if (prefix !== '') checkObjectName(prefix)
      signal.throwIfAborted()
      const child = prefix === '' ? 'x' : `${prefix}/x`
      if (await folders.checkAbove(child)) await telling(() => folders.changed(child))
    },
    async deleteIfEmpty(prefix, signal) {
      checkObjectName(prefix)
      signal.throwIfAborted()
      if (!(await folders.checkAbove(`${prefix}/x`))) return
      await telling(async () => {
        folders.forget(prefix)
        try {
          await rmdir(pathOf(prefix))
        } catch (error) {
          if (hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) return
          throw error
        }
        await folders.changed(prefix)
      })
    },
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
}

const existed = (path: string): AppError => new AppError('RESOURCE_EXISTED', `[${path}] is there already`, {})
