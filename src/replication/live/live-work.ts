import { createChangeWatch } from './change-watch.ts'
import { createLiveLinkRunner, type LiveLinkDeps } from './live-link.ts'
import { createLiveSupervisor, type LiveSupervisorDeps } from './live-supervisor.ts'

/** Follows the links of REAL_TIME tasks in this process. */
export interface LiveWork {
  /** A transaction of this process has committed: something may have changed that links follow, or the links themselves. */
  onCommit(): void
  /** Links were made, or switched on or off. */
  onLinks(): void
  run(signal: AbortSignal): Promise<void>
}

export type LiveWorkDeps = Omit<LiveLinkDeps, 'watch'> & Omit<LiveSupervisorDeps, 'runLink'>

export function createLiveWork(deps: LiveWorkDeps): LiveWork {
  const watch = createChangeWatch(deps.db, deps.clock, deps.onError)
  const runLink = createLiveLinkRunner({ ...deps, watch })
  const supervisor = createLiveSupervisor({ ...deps, runLink })
  return {
    onCommit: watch.ring,
    onLinks: supervisor.ring,
    async run(signal) {
      await Promise.all([watch.run(signal), supervisor.run(signal)])
    },
  }
}
