import { createFingerprints } from '../metadata/fingerprints/fingerprints.ts'
import { createManifestReader } from '../replication/images/manifest-facts.ts'
import { createLinkPlanner } from '../replication/planning/link-plan.ts'
import { createPreviews, type PreviewDeps, type Previews } from '../replication/previews/plans.ts'
import { createPreviewStore } from '../replication/previews/preview-store.ts'
import { repositoryFingerprints } from '../replication/recon/repository-fingerprints.ts'
import type { Ground } from './ground.ts'
import type { Services } from './wiring.ts'

/** What a run would do, found out beside the runs: by the same planner, with nothing of theirs. */
export function createPreviewWork(
  { db, store, clock, ids, random, clusterId, config }: Ground,
  services: Pick<PreviewDeps, 'judge' | 'tasks' | 'stored'> &
    Pick<Services, 'foreign'> & { readonly clusters: Pick<PreviewDeps, 'getTarget'> },
): Previews {
  const { judge, tasks, stored, clusters, foreign } = services
  const fingerprints = createFingerprints(db)
  const fingerprintsOf = (repoId: number) => repositoryFingerprints(fingerprints, repoId)
  const { maxStreams } = config.replication
  return createPreviews({
    ...{ db, clock, ids, random, clusterId, judge, tasks, stored, fingerprintsOf },
    settings: config.replication,
    manifests: createManifestReader(store),
    planner: createLinkPlanner({ db, clock, clusterId, fingerprintsOf, maxStreams }),
    store: createPreviewStore({ db, clock, ids }),
    foreignOf: (repoType) => foreign.get(repoType),
    getTarget: (id) => clusters.getTarget(id),
  })
}
