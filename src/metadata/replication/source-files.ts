import { type ExpressionBuilder, type Selectable, sql } from 'kysely'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { Metadata } from '../../core/metadata.ts'
import { firstEndingAbove, type PathRange } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { AFTER_ALL_PATHS } from '../fingerprints/live-rows.ts'
import type { Schema } from '../schema.ts'
import { arrayLiteral } from '../sql/array-literal.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { givenRows } from '../sql/given-rows.ts'
import { areFew, inRanges } from '../sql/in-ranges.ts'
import { keepInRanges } from '../sql/keep-in-ranges.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** A live file as replication reads it: the state of now, not of when it changed. */
export interface SourceFile {
  readonly path: NodePath
  readonly digest: Digest
  readonly sizeBytes: number
  readonly md5: string | null
  readonly crc64: string | null
  readonly metadata: Metadata
  /** Of its JSON, in characters. */
  readonly metadataLength: number
  readonly metadataLanes: Lanes
  /** `peer.id` of the last writer; 0: this cluster. */
  readonly origin: number
  readonly hlc: Hlc
  /** `peer_link.id` of the link that wrote it; null: a local user did. */
  readonly viaLink: number | null
  readonly expiresAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

const COLUMNS = [
  'path',
  'sha256',
  'size',
  'md5',
  'crc64',
  'metadata',
  'm0',
  'm1',
  'm2',
  'm3',
  'origin',
  'hlc',
  'via_link',
  'expires_at',
  'created_by',
  'created_at',
  'modified_by',
  'modified_at',
] as const

function liveFiles(reader: Reader, repoId: number, now: number) {
  return reader
    .selectFrom('node')
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .where((eb) => notExpired(eb, now))
}
const notExpired = (eb: ExpressionBuilder<Schema, 'node'>, now: number) =>
  eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)])

/** Files of the ranges with a path above `after`, ascending by path bytes. @param scope its ranges are sorted and merged. */
export async function listFiles(
  reader: Reader,
  repoId: number,
  scope: ListedScope,
  now: number,
): Promise<SourceFile[]> {
  return (await listColumns(reader, repoId, { ...scope, columns: COLUMNS }, now)).map(toFile)
}

/** As `listFiles`, without what else is known of them. */
export async function listFileSizes(
  reader: Reader,
  repoId: number,
  scope: ListedScope,
  now: number,
): Promise<{ readonly path: string; readonly size: number }[]> {
  return listColumns(reader, repoId, { ...scope, columns: ['path', 'size'] }, now)
}

async function listColumns<C extends (typeof COLUMNS)[number]>(
  reader: Reader,
  repoId: number,
  { ranges, after, limit, columns }: ListedScope & { readonly columns: readonly C[] },
  now: number,
): Promise<Pick<Row, C>[]> {
  const found: Pick<Row, C>[] = []
  let at = after === undefined ? 0 : firstEndingAbove(ranges, after)
  for (let together = 1; at < ranges.length && found.length < limit; together = Math.min(2 * together, MOST_TOGETHER)) {
    const some = ranges.slice(at, at + together)
    const wanted = { ranges: some, after: after ?? '', limit: limit - found.length, columns }
    found.push(...(await filesInSome(reader, repoId, wanted, now)))
    at += some.length
  }
  return found
}

interface ListedScope {
  readonly ranges: readonly PathRange[]
  readonly after: string | undefined
  readonly limit: number
}
/** One alone is read in the order of the index and no further than the limit; of several, SQLite sorts all that they hold. */
const MOST_TOGETHER = 256

async function filesInSome<C extends (typeof COLUMNS)[number]>(
  reader: Reader,
  repoId: number,
  { ranges, after, limit, columns }: ListedScope & { readonly after: string; readonly columns: readonly C[] },
  now: number,
): Promise<readonly Pick<Row, C>[]> {
  if (ranges.length === 1) {
    const rows = await liveFiles(reader, repoId, now)
      .where(inRanges(ranges))
      .where('path', '>', after as NodePath)
      .select(columns)
      .orderBy('path')
      .limit(limit)
      .execute()
    return rows as unknown as readonly Pick<Row, C>[]
  }
  const values = ranges.map(({ lo, hi }) => [lo, hi ?? AFTER_ALL_PATHS])
  const given = givenRows(reader, 'g', { lo: 'text', hi: 'text' }, values)
  const ofRange = sql`select ${sql.join(columns.map((name) => sql.ref(`node.${name}`)))} from`
  const condition = sql`where node.repo_id = ${repoId} and node.path >= g.lo and node.path < g.hi and node.path > ${after}
    and node.deleted_at is null and node.folder = 0 and (node.expires_at is null or node.expires_at > ${now})`
  const query =
    dialectOf(reader) === 'sqlite'
      ? sql<Pick<Row, C>>`${ofRange} ${given} cross join node ${condition} order by node.path limit ${limit}`
      : sql<Pick<Row, C>>`select each.* from ${given} cross join lateral
          (${ofRange} node ${condition} order by node.path limit ${limit}) as each order by each.path limit ${limit}`
  return (await query.execute(reader)).rows
}

/** Those of the paths that are live files now, ascending by path bytes. At most 1,000 paths. */
export async function filesAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
  now: number,
): Promise<SourceFile[]> {
  if (paths.length === 0) return []
  const isSqlite = dialectOf(reader) === 'sqlite'
  const wanted = isSqlite ? JSON.stringify(paths) : arrayLiteral(paths, (path) => path)
  const rows = await (isSqlite ? sqliteFilesAt : postgresFilesAt)(reader, { repoId, paths: wanted, now })
  return rows.map(toFile)
}

interface FilesWanted {
  readonly repoId: number
  /** A JSON array; PostgreSQL: an array. */
  readonly paths: string
  readonly now: number
}
const sqliteFilesAt = preparedQuery<FilesWanted, Row>((reader, { repoId, paths, now }) =>
  liveFiles(reader, repoId, now)
    .where('path', 'in', sql<string>`(select value from json_each(${paths}))`)
    .select(COLUMNS)
    .orderBy('path'),
)
/** One lookup per path, as `rowsAt` does. */
const postgresFilesAt = preparedQuery<FilesWanted, Row>((reader, { repoId, paths, now }) => ({
  compile: () =>
    sql<Row>`select ${sql.join(COLUMNS.map((name) => sql.ref(`found.${name}`)))}
      from unnest(${paths}::text[]) as wanted (path) cross join lateral (
        select * from node where repo_id = ${repoId} and path = wanted.path and deleted_at is null and folder = 0
          and (expires_at is null or expires_at > ${now}) limit 1) as found
      order by found.path`.compile(reader),
}))

export interface RangeSize {
  readonly files: number
  readonly bytes: number
}
/** What the range holds, in one statement. */
export async function rangeSize(reader: Reader, repoId: number, range: PathRange, now: number): Promise<RangeSize> {
  const row = await liveFiles(reader, repoId, now)
    .where(inRanges([range]))
    .select((eb) => [eb.fn.countAll<number>().as('files'), eb.fn.sum<number | null>('size').as('bytes')])
    .executeTakeFirstOrThrow()
  return { files: Number(row.files), bytes: Number(row.bytes ?? 0) }
}

/** Files that count in fingerprints and that nobody sees any more: they expired, and are not deleted yet. */
export async function countExpired(
  reader: Reader,
  repoId: number,
  ranges: readonly PathRange[],
  now: number,
): Promise<number> {
  // The plus keeps SQLite from reading the whole repository in the order of its paths: few files have an expiry, and those have an index.
  const expired = reader
    .selectFrom('node')
    .where(sql`+repo_id`, '=', repoId)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .where('expires_at', '<=', now)
  if (!areFew(ranges)) return (await keepInRanges(await expired.select('path').execute(), ranges)).length
  const row = await expired
    .where(inRanges(ranges))
    .select((eb) => eb.fn.countAll<number>().as('files'))
    .executeTakeFirstOrThrow()
  return Number(row.files)
}

type Row = Pick<Selectable<Schema['node']>, (typeof COLUMNS)[number]>

function toFile(row: Row): SourceFile {
  return {
    path: row.path as NodePath,
    digest: digestFromBytes(row.sha256!),
    sizeBytes: row.size,
    md5: row.md5,
    crc64: row.crc64,
    metadata: row.metadata === '[]' ? [] : (JSON.parse(row.metadata) as Metadata),
    metadataLength: row.metadata.length,
    metadataLanes: [row.m0, row.m1, row.m2, row.m3],
    origin: row.origin,
    hlc: row.hlc as Hlc,
    viaLink: row.via_link,
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
