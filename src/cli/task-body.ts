import { CliFailure, EXIT } from './cli-failure.ts'
import { repositoryName } from './remote-path.ts'

/** Options of `task create`. */
export interface TaskOptions {
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly type?: string
  readonly cron?: string
  readonly at?: string
  readonly path: readonly string[]
  readonly package: readonly string[]
  readonly conflict?: string
  readonly error?: string
  readonly rate?: number
  readonly metadata: boolean
  readonly deletes?: boolean
  readonly description?: string
  readonly off?: boolean
}

/** The body that makes a task, as contract 000 has it. Pure; what it says is judged by the server. @throws CliFailure. */
export function taskBody(name: string, options: TaskOptions): Record<string, unknown> {
  const sources = options.from.map(repositoryName)
  const [first] = sources
  if (first === undefined)
    throw new CliFailure('What is to be copied? Name it by --from project/repository', EXIT.usage)
  if (sources.some(({ project }) => project !== first.project)) {
    throw new CliFailure('One task copies repositories of one project', EXIT.usage)
  }
  const targets = options.to.map(targetOf)
  if (targets.length === 0) throw new CliFailure('Where to? Name it by --to cluster', EXIT.usage)
  const place = placeOf(targets, sources.length)
  const objects = sources.map(({ repo }) => ({
    localRepoName: repo,
    ...place,
    ...(options.path.length === 0 ? {} : { pathConstraints: options.path.map((path) => ({ path })) }),
    ...(options.package.length === 0 ? {} : { packageConstraints: options.package.map(packageOf) }),
  }))
  return {
    name,
    localProjectId: first.project,
    replicaTaskObjects: objects,
    remoteClusterIds: targets.map(({ cluster }) => cluster),
    ...given({ replicaType: options.type?.toUpperCase().replaceAll('-', '_'), description: options.description }),
    enabled: options.off !== true,
    setting: settingOf(options),
  }
}

function settingOf({ cron, at, conflict, error, rate, metadata, deletes }: TaskOptions): Record<string, unknown> {
  if (cron !== undefined && at !== undefined) throw new CliFailure('Either --cron or --at', EXIT.usage)
  const plan = given({ cronExpression: cron, executeTime: at })
  return given({
    executionPlan: Object.keys(plan).length === 0 ? undefined : plan,
    conflictStrategy: conflict?.toUpperCase(),
    errorStrategy: error?.toUpperCase(),
    rateLimit: rate,
    includeMetadata: metadata ? undefined : false,
    propagateDelete: deletes,
  })
}

interface Target {
  readonly cluster: string
  readonly place: { readonly remoteProjectId: string; readonly remoteRepoName: string } | undefined
}

/** `cluster` or `cluster:project/repository`. */
function targetOf(text: string): Target {
  const colon = text.indexOf(':')
  if (colon < 0) return { cluster: text, place: undefined }
  const { project, repo } = repositoryName(text.slice(colon + 1))
  return { cluster: text.slice(0, colon), place: { remoteProjectId: project, remoteRepoName: repo } }
}

/** A task has one place over there for each repository, the same at all its clusters. */
function placeOf(targets: readonly Target[], sources: number): Target['place'] {
  const [place, ...more] = new Map(
    targets.map((target) => [JSON.stringify(target.place ?? null), target.place]),
  ).values()
  if (more.length > 0) throw new CliFailure('All targets of one task have the same project/repository', EXIT.usage)
  if (place !== undefined && sources > 1) {
    throw new CliFailure(
      'Several repositories keep their names at the target: leave out :project/repository',
      EXIT.usage,
    )
  }
  return place
}

/** `npm://left-pad` or `npm://left-pad@1.0.0,1.1.0`. */
function packageOf(text: string): { packageKey: string; versions?: string[] } {
  const at = text.lastIndexOf('@')
  // The scope of a package begins with the same sign: `npm://@scope/name`.
  if (at < 0 || text.slice(at).includes('/')) return { packageKey: text }
  return { packageKey: text.slice(0, at), versions: text.slice(at + 1).split(',') }
}

const given = (all: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
