import { isImageName, isTag, TAG_RULES } from '../../core/content-name.ts'
import { invalid } from '../../core/errors.ts'
import { checkVersionName, type PackageKey, packageNameOf } from '../../core/package-key.ts'
import { packageScheme } from '../../core/repository-type.ts'
import { fieldsOf, type RequestFields, storableText } from '../../core/request-fields.ts'
import { checkDistributionName, settingIn } from '../distributions/distribution-request.ts'
import type { GivenRepository } from '../distributions/given-repository.ts'
import { filled, type GivenRegistry, registryIn } from '../distributions/given-target.ts'

/** Where versions come from. */
export type ImportedRegistry = Omit<GivenRegistry, 'kind'>

/** A checked request: where it comes from, and the task (contract 000) that it stands for, without its target. */
export interface ImportRequest {
  readonly name: string
  readonly registry: ImportedRegistry
  readonly task: Readonly<Record<string, unknown>>
}

const MOST_VERSIONS = 10_000

/** `projectId/repoName/import/name`: of the task, and of the node of its registry. No distribution is called so. */
export const importTaskName = (project: string, repo: string, name: string): string =>
  `${project}/${repo}/import/${name}`

/**
 * Body of `import/create`: that of a run-once distribution, read the other way round. Pure.
 * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID.
 */
export function checkImport(body: unknown, repository: GivenRepository): ImportRequest {
  const fields = fieldsOf(body)
  const name = checkDistributionName(fields.requiredText('name'))
  const registry = sourceIn(fields)
  const packages = packagesIn(fields, repository)
  const { project, name: repo, type } = repository
  const task = {
    name: importTaskName(project, repo, name),
    localProjectId: project,
    replicaObjectType: packages === undefined ? 'REPOSITORY' : 'PACKAGE',
    replicaTaskObjects: [
      {
        ...{ localRepoName: repo, repoType: type, remoteProjectId: project, remoteRepoName: repo },
        packageConstraints: packages,
      },
    ],
    replicaType: 'RUN_ONCE',
    setting: { ...settingIn(fields), conflictStrategy: 'OVERWRITE' },
    enabled: true,
    description: fields.text('description'),
  }
  return { name, registry, task }
}

function sourceIn(fields: RequestFields): ImportedRegistry {
  if (filled(fields, 'clusterId') !== undefined)
    throw invalid('clusterId', 'versions of another cluster come by a task there')
  return registryIn(fields, fields.requiredText('registry'))
}

/** Undefined: all that the registry has. */
function packagesIn(fields: RequestFields, { type }: GivenRepository) {
  const packageName = filled(fields, 'packageName')
  const given = fields.list('versions') ?? []
  if (given.length > MOST_VERSIONS) throw invalid('versions', `more than ${MOST_VERSIONS}`)
  if (packageName === undefined) {
    if (given.length > 0) throw invalid('packageName', 'versions are given without it')
    return undefined
  }
  const name = packageName.includes('://') ? packageNameOf(packageName as PackageKey) : packageName
  const versions = given.map((version) => storableText('versions', version))
  if (type === 'DOCKER' || type === 'OCI') checkImage(name, versions)
  else for (const version of versions) checkVersionName(version)
  return [{ packageKey: `${packageScheme(type)}://${name}`, versions: [...new Set(versions)] }]
}

/** As the registry and we name images: what no name can be is not asked for. @throws AppError PARAMETER_INVALID. */
function checkImage(name: string, versions: readonly string[]): void {
  if (!isImageName(name)) {
    const rules = 'up to 255 lower-case letters, digits and single separators . _ __ - between them, parts joined by /'
    throw invalid('packageName', `[${name.slice(0, 160)}] is no image name: ${rules}`)
  }
  const wrong = versions.find((version) => !isTag(version))
  if (wrong === undefined) return
  throw invalid('versions', `[${wrong.slice(0, 160)}] is no tag: ${TAG_RULES}`)
}
