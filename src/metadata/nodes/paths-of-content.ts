import { type Digest, digestBytes } from '../../core/digest.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'

/** Where a repository has this content, at `limit` paths at most. */
export async function pathsOfContent(
  reader: Reader,
  repoId: number,
  digest: Digest,
  limit: number,
): Promise<NodePath[]> {
  const rows = await reader
    .selectFrom('node')
    .where('sha256', '=', digestBytes(digest))
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .select('path')
    .limit(limit)
    .execute()
  return rows.map(({ path }) => path as NodePath)
}
