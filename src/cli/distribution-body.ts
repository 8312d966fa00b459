import { CliFailure, EXIT } from './cli-failure.ts'
import { repositoryName } from './remote-path.ts'

/** Options of `distribution add`. */
export interface DistributionOptions {
  readonly to: string
  readonly once?: string
  readonly as: readonly string[]
  readonly package: readonly string[]
  readonly path: readonly string[]
  readonly cron?: string
  readonly backfill?: boolean
  readonly conflict?: string
  readonly error?: string
  readonly rate?: number
  readonly description?: string
  readonly off?: boolean
  readonly ping: boolean
}
export interface RegistryLogin {
  readonly username?: string
  readonly password?: string
  readonly certificate?: string
}
export interface DistributionBody {
  readonly kind: 'config' | 'run-once'
  readonly body: Readonly<Record<string, unknown>>
}

/** A configuration of contract 001, or with `--once` a run-once. Pure; what it says is judged by the server. @throws CliFailure. */
export function distributionBody(name: string, options: DistributionOptions, login: RegistryLogin): DistributionBody {
  const { once, as, cron, conflict, error, rate, description, off, ping, path } = options
  const target = targetOf(options.to, login)
  const plan = cron === undefined ? undefined : { cronExpression: cron }
  const setting = given({
    ...{ conflictStrategy: conflict?.toUpperCase(), errorStrategy: error?.toUpperCase(), rateLimit: rate },
    ...{ backfill: options.backfill, executionPlan: plan, executionStrategy: plan && 'CRON_EXPRESSION' },
  })
  const paths = path.length === 0 ? undefined : path.map((one) => ({ path: one }))
  const common = given({ name, ...target, setting, description, enable: off !== true, ping: ping ? undefined : false })
  if (once === undefined) {
    if (as.length > 0) throw new CliFailure('--as is for a version that is named by --once', EXIT.usage)
    const packages = options.package.length === 0 ? undefined : options.package.map(packageOf)
    const replicaType = cron === undefined ? 'REAL_TIME' : 'SCHEDULED'
    const config = { ...common, ...given({ packageConstraints: packages, pathConstraints: paths }), replicaType }
    return { kind: 'config', body: { configs: [config] } }
  }
  if (cron !== undefined) throw new CliFailure('Either --once or --cron', EXIT.usage)
  const targetVersions = as.length === 0 ? undefined : as
  return {
    kind: 'run-once',
    body: { ...common, ...given({ ...versionsOf(once), pathConstraints: paths, targetVersions }) },
  }
}

/** An address is a registry's; `cluster:NAME:project/repository` is another cluster. */
function targetOf(to: string, login: RegistryLogin): Readonly<Record<string, unknown>> {
  if (!to.startsWith(CLUSTER)) return given({ registry: to, ...login })
  const [, clusterId = '', place = ''] = /^([^:]+):(.+)$/.exec(to.slice(CLUSTER.length)) ?? []
  if (clusterId === '') throw new CliFailure('A cluster is named as cluster:NAME:project/repository', EXIT.usage)
  const { project, repo } = repositoryName(place)
  const { username, password } = login
  const user = { remoteUserUsername: username, remoteUserPassword: password }
  return given({ clusterId, remoteProjectId: project, remoteRepoName: repo, ...user })
}
const CLUSTER = 'cluster:'

/** `nginx:1.1,1.2`, an image's name as its clients write it. */
function versionsOf(text: string): { packageName: string; versions: string[] } {
  const colon = text.lastIndexOf(':')
  const versions = text.slice(colon + 1).split(',')
  if (colon <= 0 || versions.includes('')) {
    throw new CliFailure(`"${text}" names no version: write nginx:1.1 or nginx:1.1,1.2`, EXIT.usage)
  }
  return { packageName: text.slice(0, colon), versions }
}

/** `docker://nginx` or `docker://nginx@1.0,1.1`. */
function packageOf(text: string): { packageKey: string; versions?: string[] } {
  const at = text.lastIndexOf('@')
  if (at < 0 || text.slice(at).includes('/')) return { packageKey: text }
  return { packageKey: text.slice(0, at), versions: text.slice(at + 1).split(',') }
}

const given = (all: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
