import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

/** Who deleted a path, and when. */
export interface Tombstone {
  readonly hlc: Hlc
  /** `peer.id` of the cluster that deleted it; 0: here. */
  readonly origin: number
  readonly deletedBy: string
  /** `peer_link.id` of the link that brought the deletion; null: a local user did it. */
  readonly viaLink: number | null
  /** Of the run that brought it, as `node.via_mark`. */
  readonly viaMark: number | null
}

/** The deletions that are remembered at these paths. A tombstone stays when a new file appears: look at the live row first. */
export async function tombstonesAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<Map<NodePath, Tombstone>> {
  if (paths.length === 0) return new Map()
  const rows = await reader
    .selectFrom('tombstone')
    .select(['path', 'hlc', 'origin', 'deleted_by', 'via_link', 'via_mark'])
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
    .execute()
  return new Map(
    rows.map((row) => [
      row.path as NodePath,
      {
        hlc: row.hlc as Hlc,
        origin: row.origin,
        deletedBy: row.deleted_by,
        viaLink: row.via_link,
        viaMark: row.via_mark,
      },
    ]),
  )
}

/** Where files ended in a range, ascending by path bytes, `limit` at most. Files may be there again. */
export async function endedPaths(
  reader: Reader,
  repoId: number,
  { lo, hi }: PathRange,
  limit: number,
): Promise<string[]> {
  let query = reader.selectFrom('tombstone').select('path').where('repo_id', '=', repoId).where('path', '>=', lo)
  if (hi !== null) query = query.where('path', '<', hi)
  return (await query.orderBy('path').limit(limit).execute()).map(({ path }) => path)
}

export interface DeletedFile {
  readonly content: Lanes
  readonly metadata: Lanes
  /** Its own time was over when it was deleted. */
  readonly expired: boolean
}

/** The files that were deleted or replaced last at these paths, as long as they are remembered. At most 1,000 paths. */
export async function lastFilesAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<Map<NodePath, DeletedFile>> {
  if (paths.length === 0) return new Map()
  const rows = await reader
    .selectFrom('node')
    .select(['path', 'c0', 'c1', 'c2', 'c3', 'm0', 'm1', 'm2', 'm3', 'expires_at', 'deleted_at'])
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
    .where('deleted_at', 'is not', null)
    .where('folder', '=', 0)
    .orderBy('deleted_at')
    .orderBy('id')
    .execute()
  return new Map(
    rows.map((row) => [
      row.path as NodePath,
      {
        content: [row.c0, row.c1, row.c2, row.c3],
        metadata: [row.m0, row.m1, row.m2, row.m3],
        expired: row.expires_at !== null && row.expires_at <= row.deleted_at!,
      },
    ]),
  )
}

/** Those of the paths at which a live file is, be it expired. */
export async function pathsInUse(reader: Reader, repoId: number, paths: readonly string[]): Promise<Set<string>> {
  if (paths.length === 0) return new Set()
  const rows = await reader
    .selectFrom('node')
    .select('path')
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .execute()
  return new Set(rows.map(({ path }) => path))
}
