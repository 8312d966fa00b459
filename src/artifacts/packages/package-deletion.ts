import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { findPackage, lockPackage } from '../../metadata/packages/packages.ts'
import { claimedByOthers, claimsAt, claimsOfVersions, filesOfVersions } from '../../metadata/packages/version-files.ts'
import {
  findVersion,
  type KeyedVersion,
  newestVersionId,
  someVersionIds,
  versionsById,
  versionsWithDigest,
} from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { keepLoose, type LooseBlob } from '../../metadata/storage/loose-blobs.ts'
import { changedMeanwhile, deleteFiles, lockLive } from '../nodes/node-writer.ts'
import { settle, stampOver } from '../nodes/settle.ts'
import {
  keyNamed,
  type PackageRules,
  packageNotFound,
  type RulesOf,
  requireRules,
  versionNotFound,
} from './package-rules.ts'
import { keepDisplaced, keptPlace } from './version-keeping.ts'
import { removeVersions } from './version-removal.ts'

/** `key` comes as a request has it; both @throws AppError PARAMETER_INVALID for what is no key of the repository's type. */
export interface PackageDeletion {
  /**
   * Deletes a version and those of its files that no other version claims; the last one takes the package along. One transaction.
   * @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND.
   */
  deleteVersion(repository: Repository, key: string, version: string, by: string): Promise<void>
  /**
   * Takes a version its name: where the format keeps content (`PackageRules.keptAs`), it stays under the name of its digest. One
   * transaction. @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND.
   */
  untag(repository: Repository, key: string, version: string, by: string): Promise<void>
  /**
   * Deletes all versions with this digest; of their files those stay for a while as blobs of their image which the format wants to
   * (`PackageRules.looseAs`). One transaction.
   * @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND; METHOD_NOT_ALLOWED while another version claims the main file of one.
   */
  deleteDigest(repository: Repository, key: string, digest: string, by: string): Promise<void>
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

interface Removal {
  readonly repository: Repository
  readonly key: PackageKey
  readonly ids: readonly number[]
  readonly by: string
  /** What stays of the versions. */
  readonly leaves?: 'nothing' | 'content' | 'loose blobs'
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

  /** Nodes are locked before blobs and the package, so what the versions claim is read before, and again after. @returns how many went. */
  async function remove(trx: Transaction, { repository, key, ids, by, leaves = 'nothing' }: Removal): Promise<number> {
    const rules = requireRules(rulesOf, repository)
    const known = leaves === 'nothing' ? [] : await versionsById(trx, repository.id, ids)
    const places = known.flatMap((version) => keptPlace(rules, version) ?? [])
    const before = await filesOfVersions(trx, ids)
    const claimed = before.map(({ path }) => path)
    const around = places.flatMap(({ path }) => [path, parentOf(path)])
    const current = await lockLive(trx, repository.id, [...new Set([...claimed, ...around])])
    const at = clock.now()
    if (leaves !== 'nothing') await touchBlobs(trx, digestsOf([...current.values()]), at)
    const locked = await lockPackage(trx, repository.id, key)
    const versions = await versionsById(trx, repository.id, ids)
    if (locked === undefined || versions.length === 0) return 0
    const files = await filesOfVersions(trx, ids)
    const paths = [...new Set(files.map(({ path }) => path))]
    if (paths.some((path) => !current.has(path))) throw changedMeanwhile(`package [${key}]`)
    const stamp = { by, at, hlc: stampOver(hlc, [locked, ...versions, ...current.values()]), origin: 0, viaLink: null }
    if (leaves === 'content') {
      const own = Map.groupBy(files, ({ versionId }) => versionId)
      const displaced = versions.map((version) => ({ version, files: own.get(version.id) ?? [], stamp }))
      await keepDisplaced(trx, repository, displaced, ids, current, rules, at)
    }
    if (leaves === 'loose blobs') await refuseNeeded(trx, repository, places, versions)
    const needed = await claimedByOthers(trx, repository.id, paths, ids)
    const gone = paths.filter((path) => !needed.has(path)).map((path) => current.get(path)!)
    await removeVersions(trx, repository.id, [locked], versions, stamp)
    await deleteFiles(trx, repository, gone, stamp)
    if (leaves === 'loose blobs') await keepLoose(trx, looseOf(rules, gone), at)
    return versions.length
  }
  /** @throws AppError METHOD_NOT_ALLOWED when a version that stays claims the main file of one that shall go. */
  async function refuseNeeded(
    trx: Transaction,
    repository: Repository,
    places: readonly { readonly path: NodePath }[],
    versions: readonly KeyedVersion[],
  ): Promise<void> {
    const mains = [...new Set([...places.map(({ path }) => path), ...versions.map(({ artifactPath }) => artifactPath)])]
    const going = new Set(versions.map(({ id }) => id))
    const others = (await claimsAt(trx, repository.id, mains)).filter(({ versionId }) => !going.has(versionId))
    if (others.length === 0) return
    const [other] = await versionsById(trx, repository.id, [others[0]!.versionId])
    const [{ packageKey, digest }] = [versions[0]!]
    const why = `version [${other?.name}] of package [${packageKey}] names it; delete that one first`
    throw new AppError('METHOD_NOT_ALLOWED', `[${digest}] cannot be deleted: ${why}`, { digest, by: other?.name })
  }
  /** One transaction. @param idsOf of the versions to be removed, read in it; none: there is no such version. */
  async function removeNamed(
    repository: Repository,
    key: PackageKey,
    name: string,
    idsOf: (trx: Transaction) => Promise<readonly number[]>,
    how: Pick<Removal, 'by' | 'leaves'>,
  ): Promise<void> {
    await settle(() =>
      db.transact(async (trx) => {
        const ids = await idsOf(trx)
        if (ids.length > 0) {
          const removed = await remove(trx, { repository, key, ids, ...how })
          // Read again, now that nobody else changes the package.
          if (removed < ids.length || (await idsOf(trx)).length > 0) throw changedMeanwhile(`version [${name}]`)
          return
        }
        if ((await findPackage(trx, repository.id, key)) === undefined) throw packageNotFound(key)
        throw versionNotFound(key, name)
      }),
    )
  }

  const idNamed = (repository: Repository, key: PackageKey, name: string) => async (trx: Transaction) => {
    const version = await findVersion(trx, repository.id, key, name)
    return version === undefined ? [] : [version.id]
  }
  const idsWith = (repository: Repository, key: PackageKey, digest: string) => async (trx: Transaction) =>
    (await versionsWithDigest(trx, repository.id, key, [digest])).map(({ id }) => id)

  return {
    async deleteVersion(repository, text, name, by) {
      const key = keyOf(repository, text)
      await removeNamed(repository, key, name, idNamed(repository, key, name), { by })
    },
    async untag(repository, text, name, by) {
      const key = keyOf(repository, text)
      await removeNamed(repository, key, name, idNamed(repository, key, name), { by, leaves: 'content' })
    },
    async deleteDigest(repository, text, digest, by) {
      const key = keyOf(repository, text)
      await removeNamed(repository, key, digest, idsWith(repository, key, digest), { by, leaves: 'loose blobs' })
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
        await settle(() => db.transact((trx) => remove(trx, { repository, key, ids, by })))
        after = last
        await setImmediate()
      }
    },
  }
}

const digestsOf = (nodes: readonly NodeRecord[]): Digest[] => [...new Set(nodes.flatMap(({ digest }) => digest ?? []))]

const looseOf = (rules: PackageRules, files: readonly NodeRecord[]): LooseBlob[] =>
  files.flatMap(({ repoId, path, digest, sizeBytes }) => {
    const named = rules.looseAs?.(path)
    return named === undefined || digest === undefined ? [] : [{ repoId, ...named, digest, sizeBytes }]
  })
