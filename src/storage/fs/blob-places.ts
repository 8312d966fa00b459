import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Digest, digestHex } from '../../core/digest.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'

/** Where published blobs lie: `<root>/aa/bb/<64 hex digits>` (core.md 13). */
export interface BlobPlaces {
  pathOf(digest: Digest): string
  /**
   * Gives a finished file its place, durably. The file is linked, not renamed: it keeps its old name, so that this can be done
   * again. A file that is there already is replaced: it should have the same bytes, but only these are known to be right. `file`
   * must be synced and lie on the same file system.
   */
  publish(file: string, digest: Digest): Promise<void>
  /** Moves a blob's file to `<root>/.quarantine/`. */
  quarantine(digest: Digest): Promise<void>
  /** Writes the bytes of a blob that has no file to `<root>/.quarantine/`. */
  keepAside(digest: Digest, bytes: Readable): Promise<void>
}

export function createBlobPlaces(root: string): BlobPlaces {
  // Directories whose own name is known to be durable: 65,536 leaves at most.
  const durable = new Set<string>()
  const ensure = async (directory: string) => {
    if (durable.has(directory)) return
    await makeDirectory(directory)
    durable.add(directory)
  }
  const placeOf = (digest: Digest) => {
    const hex = digestHex(digest)
    const top = join(root, hex.slice(0, 2))
    const leaf = join(top, hex.slice(2, 4))
    return { top, leaf, path: join(leaf, hex) }
  }
  const quarantine = join(root, '.quarantine')
  return {
    pathOf: (digest) => placeOf(digest).path,
    async publish(file, digest) {
      const { top, leaf, path } = placeOf(digest)
      await ensure(top)
      await ensure(leaf)
      try {
        await link(file, path)
      } catch (error) {
        if (!hasErrno(error, 'EEXIST')) throw error
        const second = `${file}.second`
        await rm(second, { force: true })
        await link(file, second)
        await rename(second, path)
        // Two names of one file: then `rename` does nothing.
        await rm(second, { force: true })
      }
      await syncDirectory(leaf)
    },
    async quarantine(digest) {
      const { leaf, path } = placeOf(digest)
      await makeDirectory(quarantine)
      try {
        await rename(path, join(quarantine, digestHex(digest)))
      } catch (error) {
        if (!hasErrno(error, 'ENOENT')) throw error
        return
      }
      await syncDirectory(quarantine)
      await syncDirectory(leaf)
    },
    async keepAside(digest, bytes) {
      await makeDirectory(quarantine)
      await writeFile(join(quarantine, digestHex(digest)), bytes, { flush: true })
      await syncDirectory(quarantine)
    },
  }
}
