import type { Expression, ExpressionBuilder, Selectable, SqlBool } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import { packageScheme, REPOSITORY_TYPES } from '../../core/repository-type.ts'
import type { Reader } from '../database.ts'
import type { Schema } from '../schema.ts'
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
  return newestFirst(reader, recordId, {}).limit(limit).execute()
}

export async function pageDetails(
  reader: Reader,
  recordId: string,
  filter: DetailFilter,
  page: PageRequest,
): Promise<Page<DetailRow>> {
  const { total } = await matching(reader, recordId, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const records = await newestFirst(reader, recordId, filter).limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: total, records }
}

const newestFirst = (reader: Reader, recordId: string, filter: DetailFilter) =>
  matching(reader, recordId, filter).selectAll().orderBy('started_at', 'desc').orderBy('id', 'desc')

function matching(reader: Reader, recordId: string, filter: DetailFilter) {
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
    .$if(filter.repoName !== undefined || filter.clusterName !== undefined, (query) =>
      query.where('link_id', 'in', linksNamed(reader, recordId, filter)),
    )
}

/** A record has few links and many details: its links are looked up once. */
const linksNamed = (reader: Reader, recordId: string, { repoName, clusterName }: DetailFilter) =>
  reader
    .selectFrom('exec_link')
    .select('exec_link.link_id')
    .where('exec_link.record_id', '=', recordId)
    .$if(repoName !== undefined, (query) => query.where('exec_link.local_repo', '=', repoName!))
    .$if(clusterName !== undefined, (query) => query.where('exec_link.cluster_name', '=', clusterName!))

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
