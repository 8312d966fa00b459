import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { PruneReport } from '../layouts/repository/prune-repository.ts'
import type { RepositoryLayout } from '../layouts/repository/repository-layout.ts'
import type { Retention } from '../tasks/backup-task.ts'
import type { Activity, ActivityOutcome, ActivityRun } from './activity.ts'
import { keepableRuns } from './keepable-runs.ts'
import { type RetentionPlan, retentionPlan } from './retention.ts'

export interface PruneDeps {
  readonly layouts: Pick<Layouts, 'list' | 'openReader' | 'remove'>
  readonly repository: Pick<RepositoryLayout, 'find' | 'prune' | 'sweepAt'>
  readonly clock: Pick<Clock, 'now'>
  /** Whose days, weeks, months and years are meant. */
  readonly timeZone: string
}

/** Removes runs of a place that no rule keeps, of all names, and then what no snapshot of its repository needs any more. */
export function createPruneActivity(deps: PruneDeps): Activity {
  return {
    async run(run, signal): Promise<ActivityOutcome> {
      const { retention, dryRun } = run.task.setting
      if (retention === null)
        throw new AppError('PARAMETER_INVALID', 'A prune needs rules of retention: nothing was removed')
      run.progress.set({ phase: 'retention' })
      const plan = await planFor(deps, run, {}, retention, signal)
      if (!dryRun) await carryOut(deps, plan, run, signal)
      run.progress.set({ phase: 'prune' })
      const path = await deps.repository.find(run.place, signal)
      const mode = dryRun ? 'dry run' : 'for real'
      const pruned =
        path === undefined ? null : await deps.repository.prune(path, { runId: run.id, mode, wait: 'yes' }, signal)
      return {
        result: 'SUCCESS',
        errorReason: warningOf(plan, pruned),
        artifactLocation: null,
        report: {
          dryRun,
          kept: plan.keep.map(({ run: { path }, reasons }) => ({ path, reasons })),
          removed: plan.remove.map(({ path }) => path),
          repository: pruned,
        },
      }
    },
    // Whatever it has begun, the next one goes on with, once its lease is gone.
    async sweep({ id, place }, signal) {
      const path = await deps.repository.find(place, signal)
      if (path !== undefined) await deps.repository.sweepAt(path, id, signal)
    },
  }
}

/** After a backup: the same for runs of its name; a repository that others are at work in is pruned another time. */
export async function applyRetention(
  deps: PruneDeps,
  run: ActivityRun,
  retention: Retention,
  signal: AbortSignal,
): Promise<void> {
  const plan = await planFor(deps, run, { name: run.task.name, runId: run.id }, retention, signal)
  await carryOut(deps, plan, run, signal)
  if (!plan.remove.some(({ layout }) => layout === 'REPOSITORY')) return
  const path = await deps.repository.find(run.place, signal)
  if (path === undefined) return
  try {
    await deps.repository.prune(path, { runId: run.id, mode: 'for real', wait: 'no' }, signal)
  } catch (error) {
    if (!hasCode(error, 'FENCED')) throw error
  }
}

async function planFor(
  { layouts, clock, timeZone }: PruneDeps,
  { place, task }: ActivityRun,
  { name, runId }: { readonly name?: string; readonly runId?: string },
  retention: Retention,
  signal: AbortSignal,
): Promise<RetentionPlan> {
  const takes = task.setting.legacy ? 'legacy' : 'whole'
  const runs = await keepableRuns(layouts, await layouts.list(place, name, signal), takes, signal)
  return retentionPlan(runs, retention, { now: clock.now(), timeZone, ...(runId === undefined ? {} : { runId }) })
}

/** Increments go before what they are based on: a chain that is cut short here has its beginning still. */
async function carryOut(
  { layouts }: PruneDeps,
  { remove }: RetentionPlan,
  { progress }: ActivityRun,
  signal: AbortSignal,
): Promise<void> {
  for (const run of [...remove].sort((a, b) => b.startedAt - a.startedAt)) {
    await layouts.remove(run, signal)
    progress.add({ success: 1 })
  }
}

function warningOf({ keep }: RetentionPlan, pruned: PruneReport | null): string | null {
  const unreadable = keep.filter(({ run }) => run.state === 'unknown').map(({ run }) => run.path)
  const words = [
    unreadable.length > 0 && `Kept, because they cannot be read: ${unreadable.slice(0, 5).join(', ')}`,
    pruned !== null && pruned.lost.length > 0 && `${pruned.lost.length} objects are gone: verify the repository`,
    pruned !== null && pruned.damaged.length > 0 && `${pruned.damaged.length} packs are damaged: verify the repository`,
  ].filter((text) => text !== false)
  return words.length === 0 ? null : words.join('; ')
}
