import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { endsAt } from '../delivery/ends-at.ts'
import { UNKNOWN } from '../delivery/work-item.ts'
import type { LinkScope, PlannedFile } from './difference.ts'
import { mayHaveBeenMeant } from './package-artifacts.ts'

/** Files that ended here, and that the target may still have. */
export interface Deletions {
  /** Ascending by path bytes. */
  readonly planned: readonly PlannedFile[]
  /** Those of them that the guard counts: a file whose own time was over ends at the target without us. */
  readonly counted: number
}
export const NO_DELETIONS: Deletions = { planned: [], counted: 0 }

const PATHS_PER_QUERY = 500

/**
 * Of the candidates, those where a file was deleted and nothing is by now.
 * @param echoes `peer_link.id` of links that bring the target's own changes: what they deleted is deleted there.
 */
export async function findDeletions(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'filter' | 'packages'>,
  candidates: Iterable<string>,
  echoes: ReadonlySet<number>,
): Promise<Deletions> {
  const { repository, filter } = scope
  const isMeant = (path: string) => (filter?.(path) ?? true) && mayHaveBeenMeant(scope, path)
  const paths = [...new Set(candidates)].filter(isMeant).sort(comparePaths)
  const planned: PlannedFile[] = []
  let counted = 0
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const ends = await endsAt(longReads(db), repository.id, paths.slice(at, at + PATHS_PER_QUERY))
    for (const { path, tombstone, last } of ends) {
      if (tombstone.viaLink !== null && echoes.has(tombstone.viaLink)) continue
      planned.push({ path, sizeBytes: 0, expect: UNKNOWN, ifGone: 'delete' })
      if (last?.expired !== true) counted++
    }
  }
  return { planned, counted }
}
