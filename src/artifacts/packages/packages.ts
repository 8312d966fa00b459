import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { checkMetadata, type Metadata, mergeMetadata } from '../../core/metadata.ts'
import { checkVersionName, type PackageKey } from '../../core/package-key.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { findPackage, lockPackage, type PackageRecord, pagePackages } from '../../metadata/packages/packages.ts'
import { nodesOfVersion } from '../../metadata/packages/version-files.ts'
import { deletedVersions } from '../../metadata/packages/version-history.ts'
import { pageVersions, type VersionFilter, type VersionOrderBy } from '../../metadata/packages/version-pages.ts'
import { findVersion, type KeyedVersion, updateVersion, type VersionRecord } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { settle, stampOver } from '../nodes/settle.ts'
import { refuseSystemKeys } from '../nodes/system-metadata.ts'
import { keyNamed, packageNotFound, type RulesOf, versionNotFound } from './package-rules.ts'
import { settlePackages } from './version-removal.ts'
import { changeOfVersion, lanesOfVersion } from './version-rows.ts'

export type { PackageRecord } from '../../metadata/packages/packages.ts'
export type { VersionFilter, VersionOrderBy, VersionSortKey } from '../../metadata/packages/version-pages.ts'
export type { KeyedVersion, VersionRecord } from '../../metadata/packages/versions.ts'

/** A file of a version as it is now. */
export interface VersionNode {
  /** `main`, or a word of the format. */
  readonly role: string
  readonly node: NodeRecord
}
/** With the names of the versions that were deleted, ascending. */
export interface PackageWithHistory extends PackageRecord {
  readonly deletedVersions: readonly string[]
}

/**
 * Packages and their versions (docs/design/packages.md). `key` comes as a request has it; all calls that have one @throws AppError
 * PARAMETER_INVALID for what is no key of the repository's type.
 */
export interface Packages {
  /** Ascending by name. */
  page(repository: Repository, namePrefix: string | undefined, page: PageRequest): Promise<Page<PackageWithHistory>>
  /** @throws AppError PACKAGE_NOT_FOUND. */
  get(repository: Repository, key: string): Promise<PackageWithHistory>
  /** @throws AppError PACKAGE_NOT_FOUND. */
  pageVersions(
    repository: Repository,
    key: string,
    filter: VersionFilter,
    order: readonly VersionOrderBy[],
    page: PageRequest,
  ): Promise<Page<VersionRecord>>
  /** @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND. */
  getVersion(repository: Repository, key: string, version: string): Promise<KeyedVersion>
  /** Its files, leaves first: a file never refers to a later one. Expired ones are not among them. */
  filesOf(version: VersionRecord): Promise<VersionNode[]>
  /** The one that `version/download` gives. @throws AppError NODE_NOT_FOUND when it has expired. */
  mainFileOf(version: VersionRecord): Promise<NodeRecord>
  /** Entries replace those of the same key. @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND, METADATA_INVALID. */
  saveMetadata(repository: Repository, key: string, version: string, changes: Metadata, by: string): Promise<void>
  /**
   * Points tags at versions, or at none (null). @throws AppError PACKAGE_NOT_FOUND, VERSION_NOT_FOUND.
   */
  saveTags(
    repository: Repository,
    key: string,
    tags: Readonly<Record<string, string | null>>,
    by: string,
  ): Promise<PackageRecord>
}

interface PackagesDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly rulesOf: RulesOf
}

export function createPackages({ db, clock, hlc, rulesOf }: PackagesDeps): Packages {
  const keyOf = (repository: Repository, text: string): PackageKey => keyNamed(rulesOf, repository, text)

  async function find(repository: Repository, key: PackageKey): Promise<PackageRecord> {
    const found = await findPackage(db.read, repository.id, key)
    if (found === undefined) throw packageNotFound(key)
    return found
  }
  async function withHistory(repoId: number, packages: readonly PackageRecord[]): Promise<PackageWithHistory[]> {
    const keys = packages.map(({ key }) => key)
    const deleted = await deletedVersions(db.read, repoId, keys)
    return packages.map((one) => ({ ...one, deletedVersions: deleted.get(one.key) ?? [] }))
  }
  /** A transaction that holds the package. */
  async function change<T>(
    repository: Repository,
    key: PackageKey,
    work: (trx: Transaction, locked: PackageRecord) => Promise<T>,
  ): Promise<T> {
    return settle(() =>
      db.transact(async (trx) => {
        const locked = await lockPackage(trx, repository.id, key)
        if (locked === undefined) throw packageNotFound(key)
        return work(trx, locked)
      }),
    )
  }
  async function versionOf(trx: Transaction, locked: PackageRecord, name: string): Promise<KeyedVersion> {
    const version = await findVersion(trx, locked.repoId, locked.key, name)
    if (version === undefined) throw versionNotFound(locked.key, name)
    return version
  }

  return {
    async page(repository, namePrefix, page) {
      const found = await pagePackages(db.read, repository.id, namePrefix, page)
      return { ...found, records: await withHistory(repository.id, found.records) }
    },
    async get(repository, key) {
      const [found] = await withHistory(repository.id, [await find(repository, keyOf(repository, key))])
      return found!
    },
    async pageVersions(repository, key, filter, order, page) {
      const { id } = await find(repository, keyOf(repository, key))
      return pageVersions(db.read, id, filter, order, page)
    },
    async getVersion(repository, text, name) {
      const key = keyOf(repository, text)
      const version = await findVersion(db.read, repository.id, key, name)
      if (version !== undefined) return version
      await find(repository, key)
      throw versionNotFound(key, name)
    },
    filesOf: ({ id }) => nodesOfVersion(db.read, id, clock.now()),
    async mainFileOf(version) {
      const files = await nodesOfVersion(db.read, version.id, clock.now())
      const main = files.find(({ role }) => role === 'main')
      if (main === undefined) throw nodeNotFound(version.artifactPath)
      return main.node
    },
    async saveMetadata(repository, text, name, changes, by) {
      await change(repository, keyOf(repository, text), async (trx, locked) => {
        const before = await versionOf(trx, locked, name)
        refuseSystemKeys(
          changes.map(({ key }) => key),
          before.metadata,
        )
        const metadata = checkMetadata(mergeMetadata(before.metadata, changes))
        const stamp = { at: clock.now(), origin: 0, viaLink: null }
        const after: KeyedVersion = {
          ...before,
          metadata,
          metadataLanes: lanesOfVersion(locked.key, { ...before, metadata }),
          ...{ modifiedBy: by, modifiedAt: stamp.at, hlc: stampOver(hlc, [before]) },
          ...{ origin: 0, viaLink: null, viaMark: null },
        }
        await updateVersion(trx, after)
        await appendChanges(trx, [changeOfVersion(before, after, stamp)])
      })
    },
    async saveTags(repository, text, tags, by) {
      for (const tag of Object.keys(tags)) checkVersionName(tag)
      return change(repository, keyOf(repository, text), async (trx, locked) => {
        for (const name of new Set(Object.values(tags))) if (name !== null) await versionOf(trx, locked, name)
        const merged = Object.entries({ ...locked.versionTag, ...tags })
        const versionTag = Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== null))
        const stamp = { by, at: clock.now(), hlc: stampOver(hlc, [locked]), origin: 0, viaLink: null }
        const [saved] = await settlePackages(trx, [{ before: locked, wanted: { ...locked, versionTag } }], stamp)
        return saved!
      })
    },
  }
}
