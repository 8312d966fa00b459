import { mkdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BlobStore } from '../blob-store.ts'
import { listBlobFiles } from './blob-listing.ts'
import { createBlobPlaces } from './blob-places.ts'
import { openBlobFile } from './blob-reader.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'
import { removeFile, writeIncoming } from './incoming-file.ts'
import { stagedFile } from './staged-file.ts'

export interface FsBlobStoreConfig {
  /** Created when absent. Processes may share it. Its file system must have hard links. */
  readonly root: string
  /** Installation id: each process of a shared root has its own, and sweeps what it had staged when it died. */
  readonly owner: string
}

/**
 * Blobs as files below `<root>/aa/bb/`. Incoming bytes go to `<root>/.staging/<owner>/`, on the same file system, and are linked
 * to their place when published (docs/decisions/0004-blob-store.md).
 */
export async function openFsBlobStore({ root, owner }: FsBlobStoreConfig): Promise<BlobStore> {
  const staging = join(root, '.staging', owner)
  await mkdir(root, { recursive: true })
  await syncDirectory(dirname(root))
  await rm(staging, { recursive: true, force: true })
  await makeDirectory(dirname(staging))
  await mkdir(staging)
  const places = createBlobPlaces(root)
  let received = 0

  return {
    capabilities: { presignedUrl: false },
    async receive(source, options, signal) {
      const path = join(staging, String(++received))
      const content = await writeIncoming(path, source, options, signal)
      return stagedFile(places, { ...content, path, remove: () => removeFile(path) })
    },
    async open(digest, range, signal) {
      signal.throwIfAborted()
      return openBlobFile(places.pathOf(digest), digest, range, signal)
    },
    async find(digest, signal) {
      signal.throwIfAborted()
      try {
        return { digest, sizeBytes: (await stat(places.pathOf(digest))).size }
      } catch (error) {
        if (hasErrno(error, 'ENOENT')) return undefined
        throw error
      }
    },
    list: (signal) => listBlobFiles(root, signal),
    async delete(digest, signal) {
      signal.throwIfAborted()
      await removeFile(places.pathOf(digest))
    },
    async quarantine(digest, signal) {
      signal.throwIfAborted()
      await places.quarantine(digest)
    },
  }
}
