import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type PackageKey, packageKeysFor, packageNameOf, packagePath, versionPath } from '../../core/package-key.ts'
import { packageScheme, type RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { settleDivergences } from '../../metadata/replication/divergences.ts'
import { hurryPaths } from '../../metadata/replication/failures.ts'
import { linksOfTask } from '../../metadata/replication/links.ts'
import { forgetPushedAt } from '../../metadata/replication/pushed-versions.ts'
import { packageRowsAt } from '../../metadata/replication/source-versions.ts'
import { lockTask, type TaskRow } from '../../metadata/replication/tasks.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import { createPackageFilter } from '../constraints/package-filter.ts'
import type { Runs } from '../runs.ts'
import { objectsOfTask } from '../stored-task.ts'
import { packagesOf, pathsOf } from '../task.ts'
import type { GivenRepository } from './given-repository.ts'

export interface VersionPushDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly runs: Pick<Runs, 'start'>
}
/** A version, as users name it: the package without its scheme. */
export interface NamedVersion {
  readonly packageName: string
  readonly version: string
}

/**
 * Has one version of a distribution looked at again, and pushed if the target lacks it, whatever is known of it: by a run of its own, or by
 * whoever follows the changes.
 * @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND; PARAMETER_INVALID when the distribution does not select it; TASK_DISABLED;
 * TASK_STATUS_INVALID while a run is in progress, and before the first one.
 */
export const createVersionPush =
  ({ db, clock, runs }: VersionPushDeps) =>
  async (repository: GivenRepository, { key: taskKey, name }: TaskRow, named: NamedVersion): Promise<void> => {
    const key = await keyOf(db, repository, named)
    const path = versionPath(key, named.version)

    async function again(trx: Transaction, linkId: number): Promise<void> {
      const failure = { kind: 'VERSION', reason: 'It was asked for again, and has not been pushed yet' } as const
      await settleDivergences(trx, linkId, [path], [{ path, reason: 'failed', delta: undefined, failure }], clock.now())
      await hurryPaths(trx, linkId, [path], clock.now())
    }

    await db.transact(async (trx) => {
      const row = await lockTask(trx, taskKey)
      if (row === undefined) throw new AppError('TASK_NOT_FOUND', `replica task [${name}] not found`, { name })
      if (row.enabled === 0) {
        throw new AppError('TASK_DISABLED', 'task enables is false: enable it, then try again', { name })
      }
      const [object] = await objectsOfTask(trx, taskKey)
      const packages = packagesOf(object!)
      const isSelected =
        packages === undefined
          ? pathsOf(object!) === undefined
          : createPackageFilter(packages, sameKey(repository.type)).holds(key, named.version)
      if (!isSelected) throw invalid('packageName', `[${name}] does not distribute ${key} ${named.version}`)
      const links = await linksOfTask(trx, taskKey)
      if (links.length === 0) {
        throw new AppError('TASK_STATUS_INVALID', 'task status invalid: it has not run yet, execute it first', { name })
      }
      for (const { id } of links) await forgetPushedAt(trx, id, path)
      if (row.replica_type === 'REAL_TIME') for (const { id } of links) await again(trx, id)
      else await runs.start(trx, row, { of: '', links: Object.fromEntries(links.map((link) => [link.key, [path]])) })
    })
  }

async function keyOf(
  db: MetadataDatabase,
  { project, name, type }: GivenRepository,
  { packageName, version }: NamedVersion,
): Promise<PackageKey> {
  const plain = packageName.includes('://') ? packageNameOf(packageName as PackageKey) : packageName
  const keys = packageKeysFor(`${packageScheme(type)}://${plain}`, type)
  const repository = await findRepository(db.read, project, name)
  const places = keys.flatMap((key) => [packagePath(key), versionPath(key, version)])
  const found = repository && (await packageRowsAt(db.read, repository.id, places))
  const there = found?.versions[0]
  if (there !== undefined) return there.version.packageKey
  const [key] = keys
  if (found === undefined || found.packages.length === 0) {
    throw new AppError('PACKAGE_NOT_FOUND', `Package [${key}] not found in [${project}/${name}]`, { key })
  }
  throw new AppError('VERSION_NOT_FOUND', `Version [${version}] of package [${key}] not found`, { key, version })
}

/** Keys that mean one package have one text. */
const sameKey = (type: RepositoryType) => (key: string) => packageKeysFor(key, type).toSorted()[0]!
