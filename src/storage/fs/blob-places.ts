import { link } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestHex } from '../../core/digest.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'

/** Where published blobs lie: `<root>/aa/bb/<64 hex digits>` (core.md 13). */
export interface BlobPlaces {
  pathOf(digest: Digest): string
  /**
   * Gives a finished file its place, durably. The file is linked, not renamed: it keeps its old name, so that this can be done
   * again. Where a file is already, it stays: it has the same bytes. `file` must be synced and lie on the same file system.
   */
  publish(file: string, digest: Digest): Promise<void>
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
      }
      // Also when the link was there: whoever made it may not have come to this line yet.
      await syncDirectory(leaf)
    },
  }
}
