import type { Divergence } from '../../metadata/replication/divergences.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import { ABSENT, UNKNOWN } from '../delivery/work-item.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { isAccepted } from './accepted-divergences.ts'
import { describe, holds, rowsOf, unknown, whole } from './described-files.ts'
import type { Changes, Difference, DifferenceDeps, LinkScope } from './difference.ts'
import { deletionsOf } from './difference-deletions.ts'
import type { Known } from './known-paths.ts'

/** What to look at when our own log tells all that changed since the last run, and nobody else wrote over there. */
export async function byCursor(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  { ledger, unsettled }: Pick<Known, 'ledger' | 'unsettled'>,
  plan: LinkPlan,
  changed: Changes,
): Promise<Difference> {
  const known = new Map(ledger.map((one) => [one.path, one.reason]))
  const rest = ledger.filter(({ path }) => !changed.has(path))
  const again = rest.filter((one) => one.reason !== 'foreign' && !isAccepted(one, spec)).map(({ path }) => path)
  // Since nobody else wrote there, the target has nothing where we had nothing and the ledger knows of nothing.
  const stateOf = (path: string, net: number) => (net > 0 && !known.has(path) ? ABSENT : UNKNOWN)
  const wanted = new Map([...changed].map(([path, net]) => [path, stateOf(path, net)]))
  for (const path of again) wanted.set(path, UNKNOWN)
  for (const path of unsettled.paths) if (!wanted.has(path) && !known.has(path)) wanted.set(path, UNKNOWN)
  const { found: paths, echoed } = await describe(deps, scope, wanted, changed)
  const accepted = rest.filter((one) => one.reason === 'conflict' && isAccepted(one, spec))
  const kept = (await describe(deps, scope, unknown(accepted.map(({ path }) => path)))).found
  const ended = [...changed].flatMap(([path, net]) => (net < 0 || known.get(path) === 'failed' ? [path] : []))
  const deletions = await deletionsOf(deps, scope, spec, [...ended, ...again], unsettled.ends)
  const targetFiles = (files: number) => targetFilesAt(scope, files, changed, ledger)
  return whole(deps, scope, plan, {
    work: { ranges: [], paths, kept, ledger: { looked: echoed, found: [] } },
    deletions,
    targetFiles,
  })
}

/** What the target has in the scope as long as nothing of the changes is sent: what we had before them, and what the ledger knows. */
export function targetFilesAt(
  scope: LinkScope,
  files: number,
  changed: Changes,
  ledger: readonly Divergence[],
): number {
  const nets = [...changed.values()].reduce((sum, net) => sum + net, 0)
  const apart = ledger.flatMap(({ path, delta }) => (delta !== undefined && holds(scope, path) ? [delta] : []))
  return files - nets + rowsOf(apart)
}
