import { createFingerprints } from '../metadata/fingerprints/fingerprints.ts'
import { createLinkPlanner } from '../replication/planning/link-plan.ts'
import { createPreviews, type PreviewDeps, type Previews } from '../replication/previews/plans.ts'
import { createPreviewStore } from '../replication/previews/preview-store.ts'
import { repositoryFingerprints } from '../replication/recon/repository-fingerprints.ts'
import type { Ground } from './wiring.ts'

/** What a run would do, found out beside the runs: by the same planner, with nothing of theirs. */
export function createPreviewWork(
  { db, clock, ids, random, clusterId, config }: Ground,
  services: Pick<PreviewDeps, 'judge' | 'tasks'> & { readonly clusters: Pick<PreviewDeps, 'getTarget'> },
): Previews {
  const { judge, tasks, clusters } = services
  const fingerprints = createFingerprints(db)
  const fingerprintsOf = (repoId: number) => repositoryFingerprints(fingerprints, repoId)
  const { maxStreams } = config.replication
  return createPreviews({
    ...{ db, clock, ids, random, clusterId, judge, tasks, fingerprintsOf },
    settings: config.replication,
    planner: createLinkPlanner({ db, clock, clusterId, fingerprintsOf, maxStreams }),
    store: createPreviewStore({ db, clock, ids }),
    getTarget: (id) => clusters.getTarget(id),
  })
}
