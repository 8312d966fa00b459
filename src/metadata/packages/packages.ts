import { type Selectable, sql } from 'kysely'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyListed, anyOf, listOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, type RowColumns, updatingRows } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import { startsWith } from '../sql/text-prefix.ts'

/** A package is there while it has a version. Times are UTC epoch milliseconds. */
export interface PackageRecord {
  readonly id: number
  readonly repoId: number
  readonly key: PackageKey
  readonly name: string
  readonly description: string | null
  /** Name of the version that a client gets which asks for none; empty when none of its versions is listed. */
  readonly latest: string
  /** How many are listed. */
  readonly versions: number
  readonly downloads: number
  /** Tag → version name. */
  readonly versionTag: Readonly<Record<string, string>>
  /** The format's own. */
  readonly extension: Readonly<Record<string, unknown>>
  /** `peer.id` of the cluster that last wrote it; 0: this one. */
  readonly origin: number
  readonly hlc: Hlc
  readonly viaLink: number | null
  /** Row hash of name, description, tags and extension. */
  readonly metadataLanes: Lanes
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

export async function findPackage(reader: Reader, repoId: number, key: PackageKey): Promise<PackageRecord | undefined> {
  const row = await at(reader, repoId, key).selectAll().executeTakeFirst()
  return row && toPackage(row)
}

/** One page, ascending by name and key. */
export async function pagePackages(
  reader: Reader,
  repoId: number,
  namePrefix: string | undefined,
  page: PageRequest,
): Promise<Page<PackageRecord>> {
  let query = reader.selectFrom('package').where('repo_id', '=', repoId)
  if (namePrefix) query = query.where((eb) => startsWith(eb, eb.ref('name'), namePrefix))
  const counted = await query.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query
    .selectAll()
    .orderBy('name')
    .orderBy('key')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toPackage) }
}

const COLUMNS = {
  repo_id: ['bigint', ({ repoId }) => repoId],
  key: ['text', ({ key }) => key],
  name: ['text', ({ name }) => name],
  description: ['text', ({ description }) => description],
  latest: ['text', ({ latest }) => latest],
  versions: ['bigint', ({ versions }) => versions],
  downloads: ['bigint', ({ downloads }) => downloads],
  version_tag: ['text', ({ versionTag }) => JSON.stringify(versionTag)],
  extension: ['text', ({ extension }) => JSON.stringify(extension)],
  origin: ['bigint', ({ origin }) => origin],
  hlc: ['text', ({ hlc }) => hlc],
  via_link: ['bigint', ({ viaLink }) => viaLink],
  m0: ['integer', ({ metadataLanes }) => metadataLanes[0]],
  m1: ['integer', ({ metadataLanes }) => metadataLanes[1]],
  m2: ['integer', ({ metadataLanes }) => metadataLanes[2]],
  m3: ['integer', ({ metadataLanes }) => metadataLanes[3]],
  created_by: ['text', ({ createdBy }) => createdBy],
  created_at: ['bigint', ({ createdAt }) => createdAt],
  modified_by: ['text', ({ modifiedBy }) => modifiedBy],
  modified_at: ['bigint', ({ modifiedAt }) => modifiedAt],
} as const satisfies RowColumns<Omit<PackageRecord, 'id'>>
const { repo_id: _repo, key: _key, downloads: _downloads, created_by: _by, created_at: _at, ...CHANGING } = COLUMNS
// Changes nothing, but locks the row that is there, and makes one when it goes away meanwhile.
const claimRows = insertingRows<'package', Omit<PackageRecord, 'id'>, Selectable<Schema['package']>>({
  into: 'package',
  columns: COLUMNS,
  onConflict: 'on conflict (repo_id, key) do update set versions = package.versions',
  returning: '*',
})
const saveRows = updatingRows<PackageRecord>({
  columns: { id: ['bigint', ({ id }) => id], ...CHANGING },
  statement: `update package set ${Object.keys(CHANGING)
    .map((column) => `${column} = v.${column}`)
    .join(', ')} from v where package.id = v.id`,
})

/** A package that the transaction holds. */
export interface ClaimedPackage extends PackageRecord {
  /** It was made in this transaction: it has no version. */
  readonly isNew: boolean
}

/**
 * The package, which nobody else changes before the transaction ends; made when it is missing, then without a version. Whoever
 * changes versions takes this lock after those of nodes and blobs, and before it charges the repository's usage.
 */
export async function claimPackage(trx: Transaction, made: Omit<PackageRecord, 'id'>): Promise<ClaimedPackage> {
  const { returned } = await claimRows(trx, [made])
  const [claimed] = await withNewness(trx, returned.map(toPackage))
  return claimed!
}
/** A package without any version is there only in the transaction that makes it. */
async function withNewness(trx: Transaction, packages: readonly PackageRecord[]): Promise<ClaimedPackage[]> {
  const uncounted = packages.flatMap(({ id, versions }) => (versions === 0 ? [id] : []))
  const old = uncounted.length === 0 ? undefined : await standings(trx, uncounted)
  return packages.map((one) => ({ ...one, isNew: one.versions === 0 && old?.has(one.id) !== true }))
}

/** As `claimPackage`, when it is there. */
export async function lockPackage(
  trx: Transaction,
  repoId: number,
  key: PackageKey,
): Promise<PackageRecord | undefined> {
  const query = at(trx, repoId, key).selectAll()
  const row = await (dialectOf(trx) === 'postgres' ? query.forUpdate() : query).executeTakeFirst()
  return row && toPackage(row)
}

/**
 * As `claimPackage`, of several; those that are there first, in order of id as everybody locks them, then those that are made, in order
 * of key.
 */
export async function claimPackages(
  trx: Transaction,
  repoId: number,
  made: readonly Omit<PackageRecord, 'id'>[],
): Promise<ClaimedPackage[]> {
  const keys = made.map(({ key }) => key)
  if (keys.length === 0) return []
  const locked = await lockPackagesNamed(trx, repoId, keys)
  const there = new Set(locked.map(({ key }) => key))
  const missing = made.filter(({ key }) => !there.has(key)).sort((a, b) => comparePaths(a.key, b.key))
  const { returned } = await claimRows(trx, missing)
  locked.push(...returned.map(toPackage))
  return withNewness(trx, locked)
}

/** Those of the names that are there, in order of id. */
export async function lockPackagesNamed(
  trx: Transaction,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<PackageRecord[]> {
  if (keys.length === 0) return []
  const known = await trx
    .selectFrom('package')
    .where('repo_id', '=', repoId)
    .where(anyOf(trx, 'key', keys))
    .select('id')
    .execute()
  return lockPackages(
    trx,
    known.map(({ id }) => id),
  )
}

/** In order of id, so that two who want the same ones wait for each other. Those that are gone are left out. */
export async function lockPackages(trx: Transaction, ids: readonly number[]): Promise<PackageRecord[]> {
  if (ids.length === 0) return []
  const query = trx
    .selectFrom('package')
    .where(anyOf(trx, 'id', ids))
    .selectAll()
    .orderBy('id')
  const rows = await (dialectOf(trx) === 'postgres' ? query.forUpdate() : query).execute()
  return rows.map(toPackage)
}

/** Writes all that can change. The rows are locked. */
export async function savePackages(trx: Transaction, packages: readonly PackageRecord[]): Promise<void> {
  await saveRows(trx, packages)
}

export async function deletePackages(trx: Transaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await trx
    .deleteFrom('package')
    .where(anyOf(trx, 'id', ids))
    .execute()
}

const standingRows = preparedQuery<{ ids: string }, StandingRow>((reader, { ids }) =>
  reader
    .selectFrom('package')
    .where(anyListed(reader, 'package.id', 'bigint', ids))
    .select((eb) => [
      'package.id',
      eb
        .selectFrom('package_version as counted')
        .whereRef('counted.package_id', '=', 'package.id')
        .where('counted.listed', '=', 1)
        .select((inner) => inner.fn.countAll<number>().as('n'))
        .$asScalar()
        .as('versions'),
      eb
        .selectFrom('package_version as best')
        .whereRef('best.package_id', '=', 'package.id')
        .where('best.listed', '=', 1)
        .select('best.name')
        .orderBy('best.prerelease')
        .orderBy('best.ordinal', 'desc')
        .orderBy('best.id', 'desc')
        .limit(1)
        .as('highest'),
    ])
    .where((eb) =>
      eb.exists(
        eb.selectFrom('package_version as some').whereRef('some.package_id', '=', 'package.id').select('some.id'),
      ),
    ),
)
interface StandingRow {
  readonly id: number
  readonly versions: number | null
  readonly highest: string | null
}
/** How many listed versions each package has, and which one is the highest; empty: none. Packages without any version are left out. */
export async function standings(
  reader: Reader,
  ids: readonly number[],
): Promise<Map<number, { readonly versions: number; readonly highest: string }>> {
  if (ids.length === 0) return new Map()
  const rows = await standingRows(reader, { ids: listOf(reader, ids) })
  return new Map(rows.map(({ id, versions, highest }) => [id, { versions: versions ?? 0, highest: highest ?? '' }]))
}

/** Deletes up to `limit` versions, and the packages left without one, of a repository that is deleted itself. @returns versions deleted. */
export async function dropSliceOfPackages(trx: Transaction, repoId: number, limit: number): Promise<number> {
  const some = await trx
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .where('package.repo_id', '=', repoId)
    .select('package_version.id')
    .limit(limit)
    .execute()
  const ids = some.map(({ id }) => id)
  if (ids.length > 0) {
    await trx
      .deleteFrom('version_file')
      .where(anyOf(trx, 'version_id', ids))
      .execute()
    await trx
      .deleteFrom('package_version')
      .where(anyOf(trx, 'id', ids))
      .execute()
  }
  if (ids.length < limit) {
    await trx.deleteFrom('package').where('repo_id', '=', repoId).execute()
    await trx.deleteFrom('version_history').where('repo_id', '=', repoId).execute()
  }
  return ids.length
}

/** Adds to the counts of packages and versions by the versions' ids. One process at a time may do it for the same ones. */
export async function addDownloads(
  trx: Transaction,
  counts: readonly { readonly versionId: number; readonly downloads: number }[],
): Promise<void> {
  if (counts.length === 0) return
  const values = sql.join(
    counts.map(({ versionId, downloads }) => sql`(cast(${versionId} as bigint), cast(${downloads} as bigint))`),
  )
  const versions = counts.map(({ versionId }) => versionId)
  const owners = await trx
    .selectFrom('package_version')
    .where(anyOf(trx, 'id', versions))
    .select('package_id')
    .distinct()
    .execute()
  await lockPackages(
    trx,
    owners.map(({ package_id }) => package_id),
  )
  await sql`update package set downloads = package.downloads + added.n from (
      select package_id, sum(v.column2) as n from (values ${values}) as v
      join package_version on package_version.id = v.column1 group by package_id
    ) as added where package.id = added.package_id`.execute(trx)
  await sql`update package_version set downloads = package_version.downloads + v.column2
    from (values ${values}) as v where package_version.id = v.column1`.execute(trx)
}

const at = (reader: Reader, repoId: number, key: PackageKey) =>
  reader.selectFrom('package').where('repo_id', '=', repoId).where('key', '=', key)

export function toPackage(row: Selectable<Schema['package']>): PackageRecord {
  return {
    id: row.id,
    repoId: row.repo_id,
    key: row.key as PackageKey,
    name: row.name,
    description: row.description,
    latest: row.latest,
    versions: row.versions,
    downloads: row.downloads,
    versionTag: JSON.parse(row.version_tag) as Record<string, string>,
    extension: JSON.parse(row.extension) as Record<string, unknown>,
    origin: row.origin,
    hlc: row.hlc as Hlc,
    viaLink: row.via_link,
    metadataLanes: [row.m0, row.m1, row.m2, row.m3],
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
