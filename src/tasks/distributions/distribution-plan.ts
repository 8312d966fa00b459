import type { TaskRow } from '../../metadata/replication/tasks.ts'
import type { TaskPlan, TaskSetting } from '../task.ts'
import type { DistributionKind, DistributionOrigin } from './distribution.ts'
import type { DistributionRequest } from './distribution-request.ts'

/** replication.md 1.4: a setting that an update leaves out stays; what was never asked for goes to no registry. */
export function withStoredSetting(plan: TaskPlan, row: TaskRow, kind: DistributionKind): TaskPlan {
  const setting = JSON.parse(row.setting) as TaskSetting
  const { kind: before } = JSON.parse(row.distribution!) as DistributionOrigin
  const isNewRegistry = kind === 'registry' && before === 'cluster'
  return { ...plan, setting: isNewRegistry ? { ...setting, backfill: false } : setting }
}

/** They belong to versions that go to registries, and are no constraint: whoever judges constraints does not know them. */
export function withTargetVersions(plan: TaskPlan, { targetVersions }: DistributionRequest): TaskPlan {
  if (targetVersions.every((tags) => tags === undefined)) return plan
  const [object] = plan.objects
  const packageConstraints = (object?.packageConstraints ?? []).map((constraint, n) => {
    const tags = targetVersions[n]
    return tags === undefined ? constraint : { ...constraint, targetVersions: tags }
  })
  return { ...plan, objects: [{ ...object!, packageConstraints }] }
}
