import { comparePaths } from '../../core/paths.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { DifferenceDeps, LinkScope } from './difference.ts'
import { type Deletions, findDeletions, NO_DELETIONS } from './find-deletions.ts'

/** @param before candidates that the guard let through in an earlier run: it does not count them again. */
export async function deletionsOf(
  { db, echoes }: DifferenceDeps,
  scope: LinkScope,
  { propagateDelete }: RunSpec,
  candidates: readonly string[],
  before: readonly string[],
): Promise<Deletions> {
  if (!propagateDelete) return NO_DELETIONS
  const { planned, counted } = await findDeletions(db, scope, candidates, echoes)
  if (before.length === 0) return { planned, counted }
  const known = new Set(planned.map(({ path }) => path))
  const more = await findDeletions(
    db,
    scope,
    before.filter((path) => !known.has(path)),
    echoes,
  )
  return { planned: [...planned, ...more.planned].sort((a, b) => comparePaths(a.path, b.path)), counted }
}
