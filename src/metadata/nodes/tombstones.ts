import type { Hlc } from '../../core/hlc.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

/** Who deleted a path, and when. */
export interface Tombstone {
  readonly hlc: Hlc
  /** `peer.id` of the cluster that deleted it; 0: here. */
  readonly origin: number
  readonly deletedBy: string
}

/** Stamps of the deletions that are remembered at these paths. A tombstone stays when a new file appears: look at the live row first. */
export async function tombstonesAt(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, Hlc>> {
  if (paths.length === 0) return new Map()
  const rows = await reader
    .selectFrom('tombstone')
    .select(['path', 'hlc'])
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
    .execute()
  return new Map(rows.map(({ path, hlc }) => [path as NodePath, hlc as Hlc]))
}
