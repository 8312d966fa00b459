import type { RegistryProbe } from '../clusters/cluster-probe.ts'
import type { Clusters } from '../clusters/clusters.ts'
import { createRegistries } from '../clusters/registries.ts'
import { createRemoteWriterCheck } from '../clusters/remote-writer.ts'
import { serverMark } from '../core/server-mark.ts'
import type { ForeignDeps, ForeignRegistries } from '../formats/foreign.ts'
import type { Format } from '../formats/format.ts'
import { ociForeignRegistries } from '../formats/oci/foreign.ts'
import { createDistributions, type Distributions } from '../tasks/distributions/distributions.ts'
import { createImports, type Imports } from '../tasks/imports/imports.ts'
import type { TaskJudge } from '../tasks/judge-task.ts'
import type { Records } from '../tasks/records.ts'
import type { Runs } from '../tasks/runs.ts'
import type { TaskControl } from '../tasks/task-control.ts'
import type { TaskPlacing } from '../tasks/task-placing.ts'
import type { Ground } from './ground.ts'

interface DistributionServices {
  readonly secrets: Parameters<typeof createRegistries>[0]['secrets']
  readonly judge: TaskJudge
  readonly placing: TaskPlacing
  readonly control: Pick<TaskControl, 'toggle' | 'execute'>
  readonly records: Records
  readonly runs: Runs
  readonly clusters: Clusters
  readonly foreign: ReadonlyMap<string, ForeignRegistries>
  onPlanned(): void
}

/** By repository type: those whose versions go to registries of others. */
export const foreignRegistries = (
  formats: readonly Format[],
  deps: ForeignDeps,
): ReadonlyMap<string, ForeignRegistries> =>
  new Map(formats.flatMap(({ type, foreign }) => (foreign === undefined ? [] : [[type, foreign(deps)] as const])))

/** All registries that versions go to speak the same protocol at present. */
export const registryProbe =
  (deps: ForeignDeps): RegistryProbe =>
  async (target, signal) => {
    using registry = ociForeignRegistries(deps).connect(target)
    await registry.check(signal)
  }

/** Contract 001: what may be distributed to whom, and how registries are tried. */
export function createDistributionServices(ground: Ground, services: DistributionServices): Distributions {
  const { db, clock, ids, clusterId } = ground
  return createDistributions({
    ...{ db, clock, ...services },
    server: serverMark(clusterId),
    registries: createRegistries({ clock, ids, secrets: services.secrets }),
    checkWriter: createRemoteWriterCheck((id) => services.clusters.getTarget(id), clock),
  })
}

/** How versions of registries of others come to stay. */
export function createImportServices(
  { db, clock, ids }: Ground,
  {
    secrets,
    ...services
  }: Pick<DistributionServices, 'secrets' | 'judge' | 'placing' | 'records' | 'foreign' | 'control'>,
): Imports {
  return createImports({ db, ...services, registries: createRegistries({ clock, ids, secrets }) })
}
