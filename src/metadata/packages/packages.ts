import { type Insertable, type Selectable, sql } from 'kysely'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { startsWith } from '../sql/text-prefix.ts'

/** 16 values a row: below the 32,766 parameters of a SQLite statement. */
const ROWS_PER_STATEMENT = 250

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
  const row = await trx
    .insertInto('package')
    .values(toRow(made))
    // Changes nothing, but locks the row that is there, and makes one when it goes away meanwhile.
    .onConflict((oc) => oc.columns(['repo_id', 'key']).doUpdateSet({ versions: (eb) => eb.ref('package.versions') }))
    .returningAll()
    .executeTakeFirstOrThrow()
  const [claimed] = await withNewness(trx, [toPackage(row)])
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
  for (let from = 0; from < missing.length; from += ROWS_PER_STATEMENT) {
    const rows = await trx
      .insertInto('package')
      .values(missing.slice(from, from + ROWS_PER_STATEMENT).map(toRow))
      .onConflict((oc) => oc.columns(['repo_id', 'key']).doUpdateSet({ versions: (eb) => eb.ref('package.versions') }))
      .returningAll()
      .execute()
    locked.push(...rows.map(toPackage))
  }
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
  for (let from = 0; from < packages.length; from += ROWS_PER_STATEMENT) {
    const values = packages.slice(from, from + ROWS_PER_STATEMENT).map((one) => {
      const row = toRow(one)
      const texts = [row.name, row.description, row.latest, row.version_tag, row.extension, row.hlc, row.modified_by]
      const numbers = [row.versions, row.origin, row.via_link, row.modified_at]
      return sql`(cast(${one.id} as bigint), ${sql.join(texts.map((text) => sql`cast(${text} as text)`))},
        ${sql.join(numbers.map((number) => sql`cast(${number} as bigint)`))},
        ${sql.join(one.metadataLanes.map((lane) => sql`cast(${lane} as integer)`))})`
    })
    await sql`update package set name = v.column2, description = v.column3, latest = v.column4, version_tag = v.column5,
        extension = v.column6, hlc = v.column7, modified_by = v.column8, versions = v.column9, origin = v.column10,
        via_link = v.column11, modified_at = v.column12, m0 = v.column13, m1 = v.column14, m2 = v.column15, m3 = v.column16
      from (values ${sql.join(values)}) as v where package.id = v.column1`.execute(trx)
  }
}

export async function deletePackages(trx: Transaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await trx
    .deleteFrom('package')
    .where(anyOf(trx, 'id', ids))
    .execute()
}

/** How many listed versions each package has, and which one is the highest; empty: none. Packages without any version are left out. */
export async function standings(
  reader: Reader,
  ids: readonly number[],
): Promise<Map<number, { readonly versions: number; readonly highest: string }>> {
  if (ids.length === 0) return new Map()
  const rows = await reader
    .selectFrom('package')
    .where(anyOf(reader, 'package.id', ids))
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
    )
    .execute()
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

function toRow(one: Omit<PackageRecord, 'id'>): Insertable<Schema['package']> {
  const [m0, m1, m2, m3] = one.metadataLanes
  return {
    repo_id: one.repoId,
    key: one.key,
    name: one.name,
    description: one.description,
    latest: one.latest,
    versions: one.versions,
    downloads: one.downloads,
    version_tag: JSON.stringify(one.versionTag),
    extension: JSON.stringify(one.extension),
    origin: one.origin,
    hlc: one.hlc,
    via_link: one.viaLink,
    ...{ m0, m1, m2, m3 },
    created_by: one.createdBy,
    created_at: one.createdAt,
    modified_by: one.modifiedBy,
    modified_at: one.modifiedAt,
  }
}

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
