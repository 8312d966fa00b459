import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { findPackage, lockPackage } from '../../metadata/packages/packages.ts'
import { claimedByOthers, claimsOfVersions, filesOfVersions } from '../../metadata/packages/version-files.ts'
import { findVersion, newestVersionId, someVersionIds, versionsById } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { changedMeanwhile, deleteFiles, lockLive } from '../nodes/node-writer.ts'
import { settle, stampOver } from '../nodes/settle.ts'
import { keyNamed, packageNotFound, type RulesOf, versionNotFound } from './package-rules.ts'
import { removeVersions } from './version-removal.ts'

/** `key` comes as a request has it; both @throws AppError PARAMETER_INVALID for what is no key of the repository's type. */
export interface PackageDeletion {
  /**
   * Deletes a version and those of its files that no other version claims; the last one takes the package along. One transaction.
   * @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND.
   */
  deleteVersion(repository: Repository, key: string, version: string, by: string): Promise<void>
  /**
   * Deletes all versions that are there now, in slices of one transaction each: cut at any moment, the rest is whole, and the call can
   * be made again. @throws AppError PACKAGE_NOT_FOUND.
   */
  deletePackage(repository: Repository, key: string, by: string): Promise<void>
}

interface PackageDeletionDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly rulesOf: RulesOf
}

/** Some 40 ms each on SQLite, which does it in this thread. */
const VERSIONS_PER_SLICE = 50
const CLAIMS_PER_SLICE = 250

export function createPackageDeletion({ db, clock, hlc, rulesOf }: PackageDeletionDeps): PackageDeletion {
  const keyOf = (repository: Repository, text: string): PackageKey => keyNamed(rulesOf, repository, text)

  /** The first of them, as many as one transaction should delete; at least one, whatever it claims. */
  async function sliceOf(ids: readonly number[]): Promise<readonly number[]> {
    const claims = await claimsOfVersions(db.read, ids)
    let claimed = 0
    const end = ids.findIndex((id) => {
      claimed += claims.get(id) ?? 0
      return claimed > CLAIMS_PER_SLICE
    })
    return end === -1 ? ids : ids.slice(0, Math.max(end, 1))
  }

  /** Nodes are locked before the package, so what the versions claim is read before, and again after. @returns how many went. */
  async function remove(
    trx: Transaction,
    repository: Repository,
    key: PackageKey,
    ids: readonly number[],
    by: string,
  ): Promise<number> {
    const before = await filesOfVersions(trx, ids)
    const current = await lockLive(trx, repository.id, [...new Set(before.map(({ path }) => path))])
    const locked = await lockPackage(trx, repository.id, key)
    const versions = await versionsById(trx, repository.id, ids)
    if (locked === undefined || versions.length === 0) return 0
    const paths = [...new Set((await filesOfVersions(trx, ids)).map(({ path }) => path))]
    if (paths.some((path) => !current.has(path))) throw changedMeanwhile(`package [${key}]`)
    const needed = await claimedByOthers(trx, repository.id, paths, ids)
    const gone = paths.filter((path) => !needed.has(path)).map((path) => current.get(path)!)
    const stamp = { by, at: clock.now(), hlc: stampOver(hlc, [locked, ...versions, ...gone]), origin: 0, viaLink: null }
    await removeVersions(trx, repository.id, [locked], versions, stamp)
    await deleteFiles(trx, repository, gone, stamp)
    return versions.length
  }

  return {
    async deleteVersion(repository, text, name, by) {
      const key = keyOf(repository, text)
      await settle(() =>
        db.transact(async (trx) => {
          const version = await findVersion(trx, repository.id, key, name)
          if (version !== undefined) {
            if ((await remove(trx, repository, key, [version.id], by)) === 0)
              throw changedMeanwhile(`version [${name}]`)
            return
          }
          if ((await findPackage(trx, repository.id, key)) === undefined) throw packageNotFound(key)
          throw versionNotFound(key, name)
        }),
      )
    },
    async deletePackage(repository, text, by) {
      const key = keyOf(repository, text)
      const found = await findPackage(db.read, repository.id, key)
      if (found === undefined) throw packageNotFound(key)
      const upTo = (await newestVersionId(db.read, found.id)) ?? 0
      for (let after = 0; ; ) {
        const ids = await sliceOf(await someVersionIds(db.read, found.id, { after, upTo, limit: VERSIONS_PER_SLICE }))
        const last = ids.at(-1)
        if (last === undefined) return
        await settle(() => db.transact((trx) => remove(trx, repository, key, ids, by)))
        after = last
        await setImmediate()
      }
    },
  }
}
