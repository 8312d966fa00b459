import {
  type Expression,
  type ExpressionBuilder,
  type Selectable,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import { packageScheme, REPOSITORY_TYPES } from '../../core/repository-type.ts'
import type { Reader } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { startsWith } from '../sql/text-prefix.ts'

export type DetailRow = Selectable<Schema['record_detail']>

/** All given ones must hold. Prefixes are literal. */
export interface DetailFilter {
  /** Prefix of the package key, with or without its scheme. */
  readonly packageName?: string | undefined
  readonly repoName?: string | undefined
  readonly clusterName?: string | undefined
  /** Prefix of a file's path. */
  readonly path?: string | undefined
  readonly status?: string | undefined
  /** Prefix of a file's path or of a package's name. */
  readonly artifactName?: string | undefined
  readonly version?: string | undefined
}

/** Newest start first. */
export async function listDetails(reader: Reader, recordId: string, limit: number): Promise<DetailRow[]> {
  return newestFirst(reader, { recordId, filter: {}, links: undefined }).limit(limit).execute()
}

export async function pageDetails(
  reader: Reader,
  recordId: string,
  filter: DetailFilter,
  page: PageRequest,
): Promise<Page<DetailRow>> {
  const wanted = await wantedOf(reader, recordId, filter)
  const { total } = await matching(reader, wanted)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const ids = await idsOfPage(reader, wanted, { total, offset: pageOffset(page), size: page.pageSize })
  const records =
    ids.length === 0 ? [] : await inOrder(reader.selectFrom('record_detail').where('id', 'in', ids)).execute()
  return { ...page, totalRecords: total, records }
}

/** Whole rows of a page only: what lies before it is looked over in an index, from the nearer end. */
async function idsOfPage(
  reader: Reader,
  wanted: Wanted,
  { total, offset, size }: { readonly total: number; readonly offset: number; readonly size: number },
): Promise<string[]> {
  if (offset >= total) return []
  const behind = Math.max(0, total - offset - size)
  const [direction, skipped] = behind < offset ? (['asc', behind] as const) : (['desc', offset] as const)
  const rows = await matching(reader, wanted)
    .select('id')
    .orderBy('started_at', direction)
    .orderBy('id', direction)
    .limit(Math.min(size, total - offset))
    .offset(skipped)
    .execute()
  return rows.map(({ id }) => id)
}

/** Where a reading of details goes on. */
export interface DetailPlace {
  readonly startedAt: number
  readonly id: string
}

/** The next `limit` details, newest start first. @param after the last one read; undefined: from the newest. */
export async function detailsAfter(
  reader: Reader,
  recordId: string,
  filter: DetailFilter,
  after: DetailPlace | undefined,
  limit: number,
): Promise<DetailRow[]> {
  return newestFirst(reader, await wantedOf(reader, recordId, filter))
    .$if(after !== undefined, (query) =>
      query
        .where('started_at', '<=', after!.startedAt)
        .where((eb) => eb.or([eb('started_at', '<', after!.startedAt), eb('id', '<', after!.id)])),
    )
    .limit(limit)
    .execute()
}

const newestFirst = (reader: Reader, wanted: Wanted) => inOrder(matching(reader, wanted))
const inOrder = (details: SelectQueryBuilder<Schema, 'record_detail', object>) =>
  details.selectAll().orderBy('started_at', 'desc').orderBy('id', 'desc')

interface Wanted {
  readonly recordId: string
  readonly filter: DetailFilter
  /** Undefined: of all. */
  readonly links: readonly number[] | undefined
}

/** A record has few links and many details: its links are looked up once. */
async function wantedOf(reader: Reader, recordId: string, filter: DetailFilter): Promise<Wanted> {
  const { repoName, clusterName } = filter
  if (repoName === undefined && clusterName === undefined) return { recordId, filter, links: undefined }
  const rows = await reader
    .selectFrom('exec_link')
    .select('link_id')
    .where('record_id', '=', recordId)
    .$if(repoName !== undefined, (query) => query.where('local_repo', '=', repoName!))
    .$if(clusterName !== undefined, (query) => query.where('cluster_name', '=', clusterName!))
    .execute()
  return { recordId, filter, links: rows.map(({ link_id }) => link_id) }
}

function matching(reader: Reader, { recordId, filter, links }: Wanted) {
  const { packageName, path, artifactName, status, version } = filter
  return reader
    .selectFrom('record_detail')
    .where('record_id', '=', recordId)
    .$if(status !== undefined, (query) => query.where('status', '=', status!))
    .$if(version !== undefined, (query) => query.where('version', '=', version!))
    .$if(path !== undefined, (query) => query.where((eb) => isFileUnder(eb, path!)))
    .$if(packageName !== undefined, (query) => query.where((eb) => isPackage(eb, packageName!)))
    .$if(artifactName !== undefined, (query) =>
      query.where((eb) => eb.or([isFileUnder(eb, artifactName!), isPackage(eb, artifactName!)])),
    )
    .$if(links !== undefined, (query) => query.where(isOneOf(reader, links!)))
}

const isOneOf = (reader: Reader, links: readonly number[]) =>
  links.length === 0 ? sql<boolean>`1 = 0` : anyOf(reader, 'link_id', links)

type Details = ExpressionBuilder<Schema, 'record_detail'>

const isFileUnder = (eb: Details, prefix: string): Expression<SqlBool> =>
  eb.and([eb('package_key', 'is', null), startsWith(eb, eb.ref('path'), prefix)])

const SCHEMES = [...new Set(REPOSITORY_TYPES.map(packageScheme))]

/** `npm://left` and `left` both find `npm://left-pad`. */
const isPackage = (eb: Details, prefix: string): Expression<SqlBool> =>
  eb.or(
    [prefix, ...SCHEMES.map((scheme) => `${scheme}://${prefix}`)].map((key) =>
      startsWith(eb, eb.ref('package_key'), key),
    ),
  )

/** What the links of some details are called, by link id. */
export async function namesOfLinks(
  reader: Reader,
  recordId: string,
  linkIds: readonly number[],
): Promise<ReadonlyMap<number, { clusterName: string; localRepo: string; repoType: string }>> {
  if (linkIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('exec_link')
    .select(['link_id as linkId', 'cluster_name as clusterName', 'local_repo as localRepo', 'repo_type as repoType'])
    .where('record_id', '=', recordId)
    .where('link_id', 'in', linkIds)
    .execute()
  return new Map(rows.map(({ linkId, ...names }) => [linkId, names]))
}
