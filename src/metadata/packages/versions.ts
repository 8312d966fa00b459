import { type Selectable, sql } from 'kysely'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { givenRows } from '../sql/given-rows.ts'
import { insertingRows, type RowColumns, updatingRows } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** A version of a package. Times are UTC epoch milliseconds. */
export interface VersionRecord {
  readonly id: number
  readonly packageId: number
  readonly repoId: number
  readonly name: string
  /** Sorts as versions of its format do. */
  readonly ordinal: string
  readonly prerelease: boolean
  /** Of its files. */
  readonly sizeBytes: number
  readonly downloads: number
  readonly manifestPath: NodePath | null
  /** Of its file with the role `main`. */
  readonly artifactPath: NodePath
  readonly stageTags: readonly string[]
  readonly tags: readonly string[]
  readonly metadata: Metadata
  /** The format's own document. */
  readonly extension: Readonly<Record<string, unknown>>
  /** False: there for clients that know its name; neither counted nor ever `latest`. */
  readonly listed: boolean
  /** Of its main file, as clients of the format name it, e.g. `sha512:…`. */
  readonly digest: string | null
  /** `digest` of the version of the package that it is about, which may be absent. */
  readonly subject: string | null
  readonly origin: number
  readonly hlc: Hlc
  readonly viaLink: number | null
  readonly viaMark: number | null
  /** Row hash of its files. */
  readonly contentLanes: Lanes
  /** Row hash of metadata, tags and extension. */
  readonly metadataLanes: Lanes
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
/** With the key of its package. */
export interface KeyedVersion extends VersionRecord {
  readonly packageKey: PackageKey
}

const versionNamed = preparedQuery<{ repoId: number; key: string; name: string }, KeyedRow>(
  (reader, { repoId, key, name }) =>
    keyed(reader, repoId).where('package.key', '=', key).where('package_version.name', '=', name),
)
export async function findVersion(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  name: string,
): Promise<KeyedVersion | undefined> {
  const [row] = await versionNamed(reader, { repoId, key, name })
  return row && toKeyed(row)
}

/** Highest id of the versions of a package; undefined: it has none. */
export async function newestVersionId(reader: Reader, packageId: number): Promise<number | undefined> {
  const row = await reader
    .selectFrom('package_version')
    .where('package_id', '=', packageId)
    .select((eb) => eb.fn.max<number | null>('id').as('id'))
    .executeTakeFirstOrThrow()
  return row.id ?? undefined
}
/** Some ids of a package's versions in (after, upTo], ascending. */
export async function someVersionIds(
  reader: Reader,
  packageId: number,
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<number[]> {
  const rows = await reader
    .selectFrom('package_version')
    .where('package_id', '=', packageId)
    .where('id', '>', after)
    .where('id', '<=', upTo)
    .select('id')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

export async function versionsById(reader: Reader, repoId: number, ids: readonly number[]): Promise<KeyedVersion[]> {
  if (ids.length === 0) return []
  const rows = await keyed(reader, repoId)
    .where(anyOf(reader, 'package_version.id', ids))
    .execute()
  return rows.map(toKeyed)
}

/** Those of the names that are there. */
export async function versionsNamed(
  reader: Reader,
  repoId: number,
  wanted: readonly { readonly key: PackageKey; readonly name: string }[],
): Promise<KeyedVersion[]> {
  if (wanted.length === 0) return []
  const names = wanted.map(({ key, name }) => [key, name])
  const { rows } = await sql<Selectable<Schema['package_version']> & { package_key: string }>`
    select v.*, p.key as package_key from ${givenRows(reader, 'g', { key: 'text', name: 'text' }, names)}
    join package as p on p.repo_id = ${repoId} and p.key = g.key
    join package_version as v on v.package_id = p.id and v.name = g.name`.execute(reader)
  return rows.map(toKeyed)
}

const COLUMNS = {
  package_id: ['bigint', ({ packageId }) => packageId],
  repo_id: ['bigint', ({ repoId }) => repoId],
  name: ['text', ({ name }) => name],
  ordinal: ['text', ({ ordinal }) => ordinal],
  prerelease: ['integer', ({ prerelease }) => Number(prerelease)],
  size: ['bigint', ({ sizeBytes }) => sizeBytes],
  downloads: ['bigint', ({ downloads }) => downloads],
  manifest_path: ['text', ({ manifestPath }) => manifestPath],
  artifact_path: ['text', ({ artifactPath }) => artifactPath],
  stage_tags: ['text', ({ stageTags }) => JSON.stringify(stageTags)],
  tags: ['text', ({ tags }) => JSON.stringify(tags)],
  metadata: ['text', ({ metadata }) => JSON.stringify(metadata)],
  extension: ['text', ({ extension }) => JSON.stringify(extension)],
  listed: ['integer', ({ listed }) => Number(listed)],
  digest: ['text', ({ digest }) => digest],
  subject: ['text', ({ subject }) => subject],
  origin: ['bigint', ({ origin }) => origin],
  hlc: ['text', ({ hlc }) => hlc],
  via_link: ['bigint', ({ viaLink }) => viaLink],
  via_mark: ['bigint', ({ viaMark }) => viaMark],
  c0: ['integer', ({ contentLanes }) => contentLanes[0]],
  c1: ['integer', ({ contentLanes }) => contentLanes[1]],
  c2: ['integer', ({ contentLanes }) => contentLanes[2]],
  c3: ['integer', ({ contentLanes }) => contentLanes[3]],
  m0: ['integer', ({ metadataLanes }) => metadataLanes[0]],
  m1: ['integer', ({ metadataLanes }) => metadataLanes[1]],
  m2: ['integer', ({ metadataLanes }) => metadataLanes[2]],
  m3: ['integer', ({ metadataLanes }) => metadataLanes[3]],
  created_by: ['text', ({ createdBy }) => createdBy],
  created_at: ['bigint', ({ createdAt }) => createdAt],
  modified_by: ['text', ({ modifiedBy }) => modifiedBy],
  modified_at: ['bigint', ({ modifiedAt }) => modifiedAt],
} as const satisfies RowColumns<Omit<VersionRecord, 'id'>>
const { package_id: _package, name: _name, downloads: _downloads, ...WRITTEN_OVER } = COLUMNS
const insertVersions = insertingRows<'package_version', Omit<VersionRecord, 'id'>, { id: number }>({
  into: 'package_version',
  columns: COLUMNS,
  returning: 'id',
})
const upsertVersions = insertingRows<
  'package_version',
  Omit<VersionRecord, 'id'>,
  { id: number; package_id: number; name: string }
>({
  into: 'package_version',
  columns: COLUMNS,
  onConflict: `on conflict (package_id, name) do update set ${Object.keys(WRITTEN_OVER)
    .map((column) => `${column} = excluded.${column}`)
    .join(', ')}`,
  returning: 'id, package_id, name',
})
const updateVersions = updatingRows<VersionRecord>({
  columns: { id: ['bigint', ({ id }) => id], ...WRITTEN_OVER },
  statement: `update package_version set ${Object.keys(WRITTEN_OVER)
    .map((column) => `${column} = v.${column}`)
    .join(', ')} from v where package_version.id = v.id`,
})

/** Makes versions, or writes all but the downloads of those that are there. @returns their ids, in the order given. The caller holds the packages. */
export async function putVersions(trx: Transaction, made: readonly Omit<VersionRecord, 'id'>[]): Promise<number[]> {
  const ids = new Map<string, number>()
  const idKey = (packageId: number, name: string) => `${packageId}/${name}`
  const { returned } = await upsertVersions(trx, made)
  for (const { id, package_id, name } of returned) ids.set(idKey(package_id, name), id)
  return made.map(({ packageId, name }) => ids.get(idKey(packageId, name))!)
}

/** Those of the names that their package has a version of. */
export async function presentVersions(
  reader: Reader,
  wanted: readonly { readonly packageId: number; readonly name: string }[],
): Promise<{ readonly packageId: number; readonly name: string }[]> {
  if (wanted.length === 0) return []
  const names = wanted.map(({ packageId, name }) => [packageId, name])
  const { rows } = await sql<{ package_id: number; name: string }>`select v.package_id, v.name
    from ${givenRows(reader, 'g', { package_id: 'bigint', name: 'text' }, names)}
    join package_version as v on v.package_id = g.package_id and v.name = g.name`.execute(reader)
  return rows.map((row) => ({ packageId: row.package_id, name: row.name }))
}

/** @returns the id. The caller holds the package. */
export async function insertVersion(trx: Transaction, made: Omit<VersionRecord, 'id'>): Promise<number> {
  const { returned } = await insertVersions(trx, [made])
  return returned[0]!.id
}
/** Writes all but the downloads. */
export async function updateVersion(trx: Transaction, version: VersionRecord): Promise<void> {
  await updateVersions(trx, [version])
}

/** What a change of its files does to a version; the rest of it stays. */
export interface VersionRefresh {
  readonly id: number
  readonly sizeBytes: number
  readonly contentLanes: Lanes
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly hlc: Hlc
  readonly origin: number
  readonly viaLink: number | null
}
export async function refreshVersions(trx: Transaction, changes: readonly VersionRefresh[]): Promise<void> {
  for (let from = 0; from < changes.length; from += ROWS_PER_STATEMENT) {
    const values = changes.slice(from, from + ROWS_PER_STATEMENT).map((change) => {
      const numbers = [change.id, change.sizeBytes, change.modifiedAt, change.origin, change.viaLink]
      const texts = [change.modifiedBy, change.hlc]
      return sql`(${sql.join(numbers.map((number) => sql`cast(${number} as bigint)`))},
        ${sql.join(texts.map((text) => sql`cast(${text} as text)`))},
        ${sql.join(change.contentLanes.map((lane) => sql`cast(${lane} as integer)`))})`
    })
    await sql`update package_version set size = v.column2, modified_at = v.column3, origin = v.column4, via_link = v.column5,
        via_mark = null, modified_by = v.column6, hlc = v.column7, c0 = v.column8, c1 = v.column9, c2 = v.column10, c3 = v.column11
      from (values ${sql.join(values)}) as v where package_version.id = v.column1`.execute(trx)
  }
}

/** Versions of a package with this digest, by id. */
export async function versionsWithDigest(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  digests: readonly string[],
): Promise<KeyedVersion[]> {
  if (digests.length === 0) return []
  const rows = await keyed(reader, repoId)
    .where('package.key', '=', key)
    .where(anyOf(reader, 'package_version.digest', digests))
    .orderBy('package_version.id')
    .execute()
  return rows.map(toKeyed)
}

/** Which digests versions of these packages have, other than those with one of the ids: `<package id>/<digest>`. */
export async function digestsHeld(
  reader: Reader,
  wanted: readonly { readonly packageId: number; readonly digest: string }[],
  except: readonly number[],
): Promise<Set<string>> {
  if (wanted.length === 0) return new Set()
  const pairs = wanted.map(({ packageId, digest }) => [packageId, digest])
  const others = except.length === 0 ? sql`` : sql`where not ${anyOf(reader, 'v.id', except)}`
  const { rows } = await sql<{ package_id: number; digest: string }>`select distinct v.package_id, v.digest
    from ${givenRows(reader, 'g', { package_id: 'bigint', digest: 'text' }, pairs)}
    join package_version as v on v.package_id = g.package_id and v.digest = g.digest ${others}`.execute(reader)
  return new Set(rows.map((row) => `${row.package_id}/${row.digest}`))
}

/** With the rows of their files. */
export async function deleteVersionRows(trx: Transaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await trx
    .deleteFrom('version_file')
    .where(anyOf(trx, 'version_id', ids))
    .execute()
  await trx
    .deleteFrom('package_version')
    .where(anyOf(trx, 'id', ids))
    .execute()
}

/** 11 values a row: below the 32,766 parameters of a SQLite statement. */
const ROWS_PER_STATEMENT = 250

const keyed = (reader: Reader, repoId: number) =>
  reader
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .where('package.repo_id', '=', repoId)
    .selectAll('package_version')
    .select('package.key as package_key')

export function toVersion(row: Selectable<Schema['package_version']>): VersionRecord {
  return {
    id: row.id,
    packageId: row.package_id,
    repoId: row.repo_id,
    name: row.name,
    ordinal: row.ordinal,
    prerelease: row.prerelease === 1,
    sizeBytes: row.size,
    downloads: row.downloads,
    manifestPath: row.manifest_path as NodePath | null,
    artifactPath: row.artifact_path as NodePath,
    stageTags: JSON.parse(row.stage_tags) as string[],
    tags: JSON.parse(row.tags) as string[],
    metadata: JSON.parse(row.metadata) as Metadata,
    extension: JSON.parse(row.extension) as Record<string, unknown>,
    listed: row.listed === 1,
    digest: row.digest,
    subject: row.subject,
    origin: row.origin,
    hlc: row.hlc as Hlc,
    viaLink: row.via_link,
    viaMark: row.via_mark,
    contentLanes: [row.c0, row.c1, row.c2, row.c3],
    metadataLanes: [row.m0, row.m1, row.m2, row.m3],
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
type KeyedRow = Selectable<Schema['package_version']> & { package_key: string }
const toKeyed = (row: KeyedRow): KeyedVersion => ({
  ...toVersion(row),
  packageKey: row.package_key as PackageKey,
})
