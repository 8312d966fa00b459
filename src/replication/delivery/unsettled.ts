import { holderOf } from '../../core/path-range.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { listSettled, listUnsettledPlaces, noteSettled } from '../../metadata/replication/unsettled.ts'
import { MOST_EARLIER_RUNS } from '../../remotes/cluster/frames/begin-codec.ts'
import { runNumberOf } from '../runs/link-key.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { AnyOutcome, Outcome } from './outcome.ts'

/** What arrived at the target in runs that never heard of it: each such artifact counts once, in the run that learns it. */
export interface Unsettled {
  /** Numbers of those runs, for BEGIN. */
  readonly runs: readonly number[]
  /**
   * Of what earlier runs brought there, tells apart what they counted (unchanged) and what nobody did (written). In a batch's place
   * between the target's answer and its checkpoint (`noteCounted`); may be repeated.
   */
  settle(outcomes: readonly Outcome[]): Promise<Outcome[]>
}

/** What a link that follows changes had under way when it was last left. */
export interface Followed {
  /** Its number towards the target. */
  readonly run: number
  readonly paths: ReadonlySet<string>
}

interface UnsettledDeps {
  readonly db: MetadataDatabase
  readonly linkId: number
  readonly spec: Pick<RunSpec, 'run'>
  readonly followed: Followed | undefined
}

export async function openUnsettled({ db, linkId, spec, followed }: UnsettledDeps): Promise<Unsettled> {
  const { run } = spec
  const { ranges, paths } = await listUnsettledPlaces(db.read, linkId)
  const rangesOf = Map.groupBy(ranges, ({ recordId }) => recordId)
  const pathsOf = Map.groupBy(paths, ({ recordId }) => recordId)
  const holders = new Map<number, (path: string) => boolean>()
  for (const record of [...new Set([...rangesOf.keys(), ...pathsOf.keys()])].slice(0, MOST_EARLIER_RUNS - 1)) {
    const inRanges = holderOf(rangesOf.get(record) ?? [])
    const named = new Set((pathsOf.get(record) ?? []).map(({ path }) => path))
    holders.set(runNumberOf(record), (path) => named.has(path) || inRanges(path))
  }
  const isPlaceOf = (by: number, path: string): boolean =>
    holders.get(by)?.(path) === true || (by === followed?.run && followed.paths.has(path))
  const runs = new Set([...holders.keys(), ...(followed === undefined ? [] : [followed.run])])
  runs.delete(run)

  /** Whether this very run brings over what a later one could take for uncounted: links that follow changes are given up and planned again in one record. */
  const isOwn = ({ arrivedBy, result, item }: Outcome): boolean =>
    (arrivedBy === 'this run' || (arrivedBy === undefined && result === 'written')) && isPlaceOf(run, item.path)

  return {
    runs: [...runs],
    async settle(outcomes) {
      const ofOthers = outcomes.flatMap(({ arrivedBy: by, item: { path } }) =>
        typeof by === 'number' && by !== run && isPlaceOf(by, path) ? [path] : [],
      )
      const counted = new Set((await listSettled(db.read, linkId, ofOthers)).map(nameOf))
      return outcomes.map((outcome): Outcome => {
        const { arrivedBy: by, item } = outcome
        if (typeof by !== 'number') return isOwn(outcome) ? { ...outcome, settles: run } : outcome
        const isNew = by !== run && isPlaceOf(by, item.path) && !counted.has(nameOf({ path: item.path, run: by }))
        return isNew ? { ...outcome, settles: by } : { ...outcome, result: 'unchanged', conflict: false }
      })
    },
  }
}

const nameOf = ({ path, run }: { readonly path: string; readonly run: number }): string => `${run}/${path}`

/** In the transaction in which outcomes count: no later run counts them again. */
export function noteCounted(trx: Transaction, linkId: number, outcomes: readonly AnyOutcome[]): Promise<void> {
  const counted = outcomes.filter(({ settles, result }) => settles !== undefined && result === 'written')
  return noteSettled(
    trx,
    linkId,
    counted.map(({ item, settles }) => ({ path: item.path, run: settles! })),
  )
}

/** Of a comparison: those that had arrived before it began, so that the target's log has them further back. */
export const arrivedBefore = (outcomes: readonly AnyOutcome[], { follows }: Pick<RunSpec, 'follows'>): number =>
  outcomes.filter(
    ({ arrivedBy, settles, result }) =>
      result === 'written' && arrivedBy !== undefined && (settles !== undefined || follows !== undefined),
  ).length
