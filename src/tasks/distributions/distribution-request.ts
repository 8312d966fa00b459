import { empty, invalid, missing } from '../../core/errors.ts'
import { type PackageKey, packageNameOf } from '../../core/package-key.ts'
import { packageScheme } from '../../core/repository-type.ts'
import { chosen, fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import { distributionTaskName } from './distribution.ts'
import type { GivenRepository } from './given-repository.ts'
import { filled, type GivenTarget, targetOf } from './given-target.ts'
import { type Renamed, targetTagsOf, withoutTargets } from './target-tags.ts'

/** A checked configuration of contract 001: where it goes, and the task (contract 000) that it stands for, without its targets. */
export interface DistributionRequest {
  readonly name: string
  readonly target: GivenTarget
  readonly task: Readonly<Record<string, unknown>>
  /** The request says something of it; otherwise an update keeps the stored one. */
  readonly hasSetting: boolean
  /** Of each package constraint: tags in place of its only version's own. */
  readonly targetVersions: readonly (readonly string[] | undefined)[]
}

/** replication.md 1.4. */
const NAME = /^[a-zA-Z_][a-zA-Z0-9\-_]{1,127}$/
const MOST_CONFIGS = 100

/** `{configs: […]}`, the bare array, or a bare configuration. Pure. @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, … */
export function checkConfigs(body: unknown, repository: GivenRepository): DistributionRequest[] {
  const given = Array.isArray(body) ? body : configsOf(fieldsOf(body))
  if (given.length === 0) throw empty('configs')
  if (given.length > MOST_CONFIGS) throw invalid('configs', `more than ${MOST_CONFIGS}`)
  const configs = given.map((config) => {
    const fields = fieldsOf(config, 'configs')
    return checkConfig(fields, nameOf(fields), repository)
  })
  const names = new Set(configs.map(({ name }) => name))
  if (names.size < configs.length) throw invalid('configs', 'a name comes twice')
  return configs
}

function configsOf(fields: RequestFields): readonly unknown[] {
  const configs = fields.raw('configs')
  if (configs !== undefined) return Array.isArray(configs) ? configs : [configs]
  if (fields.raw('name') === undefined) throw missing('configs')
  return [Object.fromEntries(CONFIG_FIELDS.map((field) => [field, fields.raw(field)]))]
}
const CONFIG_FIELDS = [
  ...['name', 'clusterId', 'registry', 'username', 'password', 'certificate', 'ping', 'remoteUserUsername'],
  ...['remoteUserPassword', 'remoteProjectId', 'remoteRepoName', 'replicaObjectType', 'packageConstraints'],
  ...['pathConstraints', 'replicaType', 'setting', 'enable', 'enabled', 'description'],
]

/** @param stored what an update keeps when it says nothing of it. */
export function checkConfig(
  fields: RequestFields,
  name: string,
  repository: GivenRepository,
  stored: { readonly replicaType: string; readonly enabled: boolean } = NOTHING_STORED,
): DistributionRequest {
  const target = targetOf(fields)
  const replicaType = filled(fields, 'replicaType') ?? stored.replicaType
  const packages = listOf(fields, 'packageConstraints')
  const paths = listOf(fields, 'pathConstraints')
  if (target.kind === 'registry') refuseFiles(fields, paths)
  if (target.kind === 'registry' && chosen(replicaType, ['EDGE_PULL'])) {
    throw invalid('replicaType', 'a registry pulls nothing: use REAL_TIME or SCHEDULED')
  }
  const setting = settingIn(fields)
  const renamed = packages.map((constraint) => withoutTargets(constraint, target, repository))
  const task = {
    ...taskNamed(repository, name),
    replicaObjectType: filled(fields, 'replicaObjectType') ?? inferredType(packages, paths),
    replicaTaskObjects: [
      objectOf(repository, target, given(fields, 'packageConstraints', renamed), fields.raw('pathConstraints')),
    ],
    replicaType,
    setting: settingFor(target, setting),
    enabled: fields.flag('enable') ?? fields.flag('enabled') ?? stored.enabled,
    description: fields.text('description'),
  }
  const hasSetting = setting !== undefined
  return { name, target, task, hasSetting, targetVersions: renamed.map(({ targetVersions }) => targetVersions) }
}

const NOTHING_STORED = { replicaType: 'REAL_TIME', enabled: true }

const given = (fields: RequestFields, name: string, renamed: readonly { readonly constraint: unknown }[]): unknown =>
  fields.raw(name) === undefined ? undefined : renamed.map(({ constraint }) => constraint)

/** Body of `create/runOnceTask`. @throws AppError as above. */
export function checkRunOnce(body: unknown, repository: GivenRepository): DistributionRequest {
  const fields = fieldsOf(body)
  const name = nameOf(fields)
  const target = targetOf(fields)
  const chosen = runOncePackage(fields, target, repository)
  const packages = chosen && [chosen.constraint]
  const paths = listOf(fields, 'pathConstraints')
  if (target.kind === 'registry') refuseFiles(fields, paths)
  const asked = filled(fields, 'replicaObjectType')
  const isWhole = asked?.toUpperCase() === 'REPOSITORY'
  if (packages === undefined && paths.length === 0 && !isWhole) {
    throw invalid('Package or path', 'name a package with versions, or paths')
  }
  // Packages and paths together are both sent; constraints of one object add up.
  const isBoth = packages !== undefined && paths.length > 0
  const task = {
    ...taskNamed(repository, name),
    replicaObjectType: isBoth ? 'REPOSITORY' : (asked ?? inferredType(packages ?? [], paths)),
    replicaTaskObjects: [objectOf(repository, target, packages, paths.length === 0 ? undefined : paths)],
    replicaType: 'RUN_ONCE',
    setting: { ...settingFor(target, settingIn(fields)), conflictStrategy: 'OVERWRITE' },
    enabled: fields.flag('enable') ?? fields.flag('enabled') ?? true,
    description: fields.text('description'),
  }
  return { name, target, task, hasSetting: true, targetVersions: [chosen?.targetVersions] }
}

function runOncePackage(fields: RequestFields, target: GivenTarget, repository: GivenRepository): Renamed | undefined {
  const packageName = filled(fields, 'packageName')
  const versions = listOf(fields, 'versions')
  if (packageName === undefined && versions.length > 0) throw invalid('packageName', 'versions are given without it')
  if (packageName !== undefined && versions.length === 0) throw invalid('versions', 'packageName is given without them')
  const targetVersions = targetTagsOf(fields, versions, target, repository)
  if (packageName === undefined) return undefined
  const name = packageName.includes('://') ? packageNameOf(packageName as PackageKey) : packageName
  const packageKey = `${packageScheme(repository.type)}://${name}`
  return { constraint: { packageKey, versions }, targetVersions }
}

export function nameOf(fields: RequestFields): string {
  return checkDistributionName(fields.requiredText('name'))
}
/** @throws AppError PARAMETER_INVALID. */
export function checkDistributionName(name: string): string {
  if (!NAME.test(name)) throw invalid('name', 'letters, digits, - and _, 2 to 128 of them, not beginning with a digit')
  return name
}

/** @throws AppError REQUEST_CONTENT_INVALID when it is no JSON object. */
export const settingIn = (fields: RequestFields): object | undefined =>
  fields.object('setting') === undefined ? undefined : (fields.raw('setting') as object)

function refuseFiles(fields: RequestFields, paths: readonly unknown[]): void {
  if (paths.length > 0) throw invalid('pathConstraints', 'a registry takes versions of packages, not files')
  if (filled(fields, 'replicaObjectType')?.toUpperCase() === 'PATH') {
    throw invalid('replicaObjectType', 'a registry takes versions of packages, not files')
  }
}

/** replication.md 1.4: what was never asked for is not sent to a registry. */
function settingFor(target: GivenTarget, setting: object | undefined): object {
  return target.kind === 'registry' ? { backfill: false, ...setting } : (setting ?? {})
}

const inferredType = (packages: readonly unknown[], paths: readonly unknown[]) =>
  paths.length > 0 ? 'PATH' : packages.length > 0 ? 'PACKAGE' : 'REPOSITORY'

const taskNamed = ({ project, name: repo }: GivenRepository, name: string) => ({
  name: distributionTaskName(project, repo, name),
  localProjectId: project,
})

const objectOf = (
  { project, name, type }: GivenRepository,
  target: GivenTarget,
  packageConstraints: unknown,
  pathConstraints: unknown,
) => ({
  localRepoName: name,
  repoType: type,
  remoteProjectId: target.kind === 'cluster' ? target.remoteProject : project,
  remoteRepoName: target.kind === 'cluster' ? target.remoteRepo : name,
  packageConstraints,
  pathConstraints,
})

const listOf = (fields: RequestFields, name: string): readonly unknown[] => fields.list(name) ?? []
