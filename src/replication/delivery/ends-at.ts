import { isPackagePath, parsePackagePath } from '../../core/package-key.ts'
import type { Reader } from '../../metadata/database.ts'
import {
  type DeletedFile,
  lastFilesAt,
  pathsInUse,
  type Tombstone,
  tombstonesAt,
} from '../../metadata/nodes/tombstones.ts'
import { livePackagePaths } from '../../metadata/replication/source-versions.ts'

/** A path where a file was, and nothing is. */
export interface End {
  readonly path: string
  readonly tombstone: Tombstone
  /** The file that ended, as long as it is remembered. */
  readonly last: DeletedFile | undefined
}

/** Those of the paths where a file ended, in their order. At most 1,000. A file whose time is over has not ended before it is deleted. */
export async function endsAt(reader: Reader, repoId: number, paths: readonly string[]): Promise<End[]> {
  const inUse = await pathsInUse(reader, repoId, paths)
  const places = paths.filter((path) => parsePackagePath(path)?.version !== undefined)
  const live = await livePackagePaths(reader, repoId, places)
  // A package ends with its last version.
  const isPackage = (path: string) => isPackagePath(path) && parsePackagePath(path)?.version === undefined
  const free = paths.filter((path) => !inUse.has(path) && !live.has(path) && !isPackage(path))
  const tombstones: ReadonlyMap<string, Tombstone> = await tombstonesAt(reader, repoId, free)
  const last: ReadonlyMap<string, DeletedFile> = await lastFilesAt(reader, repoId, [...tombstones.keys()])
  return free.flatMap((path) => {
    const tombstone = tombstones.get(path)
    return tombstone === undefined ? [] : [{ path, tombstone, last: last.get(path) }]
  })
}
