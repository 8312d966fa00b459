import { type RawBuilder, sql } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { startsWith } from '../sql/text-prefix.ts'
import { toVersion, type VersionRecord } from './versions.ts'

export type VersionSortKey =
  | 'name'
  | 'size'
  | 'ordinal'
  | 'downloads'
  | 'createdBy'
  | 'createdAt'
  | 'modifiedBy'
  | 'modifiedAt'
export interface VersionOrderBy {
  readonly key: VersionSortKey
  readonly direction: 'asc' | 'desc'
}
export interface VersionFilter {
  readonly namePrefix: string | undefined
  /** Those with one of them; undefined or empty: all. */
  readonly stageTags: readonly string[] | undefined
  /** Those with all of these entries; values are compared as JSON. */
  readonly metadata: readonly { readonly key: string; readonly value: unknown }[] | undefined
}

const COLUMN = {
  name: 'name',
  size: 'size',
  ordinal: 'ordinal',
  downloads: 'downloads',
  createdBy: 'created_by',
  createdAt: 'created_at',
  modifiedBy: 'modified_by',
  modifiedAt: 'modified_at',
} as const satisfies Record<VersionSortKey, string>

/** One page of the listed versions of a package; between equals the higher version comes first. */
export async function pageVersions(
  reader: Reader,
  packageId: number,
  { namePrefix, stageTags = [], metadata = [] }: VersionFilter,
  order: readonly VersionOrderBy[],
  page: PageRequest,
): Promise<Page<VersionRecord>> {
  let query = reader.selectFrom('package_version').where('package_id', '=', packageId).where('listed', '=', 1)
  if (namePrefix) query = query.where((eb) => startsWith(eb, eb.ref('name'), namePrefix))
  if (stageTags.length > 0) query = query.where(hasAny(reader, stageTags))
  for (const { key, value } of metadata) query = query.where(hasEntry(reader, key, value))
  const counted = await query.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  let sorted = query.selectAll()
  for (const { key, direction } of order) sorted = sorted.orderBy(COLUMN[key], direction)
  const rows = await sorted
    .orderBy('ordinal', 'desc')
    .orderBy('id', 'desc')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toVersion) }
}

function hasAny(reader: Reader, tags: readonly string[]): RawBuilder<boolean> {
  const wanted = sql.join([...tags])
  return dialectOf(reader) === 'sqlite'
    ? sql<boolean>`exists (select 1 from json_each(stage_tags) as tag where tag.value in (${wanted}))`
    : sql<boolean>`exists (select 1 from json_array_elements_text(stage_tags::json) as tag (value) where tag.value in (${wanted}))`
}

/** Both sides as the database writes JSON, so that `1` and `"1"` differ and spaces do not. */
function hasEntry(reader: Reader, key: string, value: unknown): RawBuilder<boolean> {
  const json = JSON.stringify(value ?? null)
  return dialectOf(reader) === 'sqlite'
    ? sql<boolean>`exists (select 1 from json_each(metadata) as entry
        where entry.value ->> '$.key' = ${key} and entry.value -> '$.value' = json(${json}))`
    : sql<boolean>`exists (select 1 from jsonb_array_elements(metadata::jsonb) as entry (value)
        where entry.value ->> 'key' = ${key} and entry.value -> 'value' = ${json}::jsonb)`
}
