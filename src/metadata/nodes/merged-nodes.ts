import { sql } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { inScopes } from '../sql/in-scopes.ts'
import { below, type NodeListing, type NodeRecord, SORT_EXPRESSION, toNode, visible } from './nodes.ts'

/**
 * Several repositories laid over each other: at a path that several have, the one that comes first in `repoIds` counts. Up to
 * 1,000 repositories.
 */
type Layers = readonly number[]

/** What users see at a path, one node per repository that has one, in the order of the repositories. */
export async function nodesInLayers(
  reader: Reader,
  repoIds: Layers,
  path: NodePath,
  now: number,
): Promise<NodeRecord[]> {
  if (repoIds.length === 0) return []
  const rows = await reader
    .selectFrom('node')
    .selectAll()
    .where('repo_id', 'in', repoIds)
    .where('path', '=', path)
    .where('deleted_at', 'is', null)
    .where(visible(now))
    .execute()
  return rows.map(toNode).sort((a, b) => repoIds.indexOf(a.repoId) - repoIds.indexOf(b.repoId))
}

/** As `pageNodes`, over the layers. Cost follows what lies in the folder, in all of them. */
export async function pageLayers(
  reader: Reader,
  repoIds: Layers,
  folder: NodePath,
  { depth, kinds, order, scopes }: NodeListing,
  page: PageRequest,
  now: number,
): Promise<Page<NodeRecord>> {
  if (repoIds.length === 0) return { ...page, totalRecords: 0, records: [] }
  const seen = () => {
    let query = onTop(reader, repoIds, folder, depth, now)
    if (kinds === 'files') query = query.where('folder', '=', 0)
    if (scopes !== undefined) query = query.where(inScopes(scopes))
    return query
  }
  const counted = await seen()
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  let sorted = seen().selectAll()
  for (const { key, direction } of order) sorted = sorted.orderBy(SORT_EXPRESSION[key], direction)
  const rows = await sorted.orderBy('path').limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toNode) }
}

/** As `sizeBelow`, over the layers. */
export async function sizeOfLayers(
  reader: Reader,
  repoIds: Layers,
  folder: NodePath,
  now: number,
): Promise<{ readonly nodes: number; readonly bytes: number }> {
  if (repoIds.length === 0) return { nodes: 0, bytes: 0 }
  const row = await onTop(reader, repoIds, folder, 'tree', now)
    .select((eb) => [eb.fn.countAll<number>().as('nodes'), eb.fn.sum<number | null>('size').as('bytes')])
    .executeTakeFirstOrThrow()
  return { nodes: row.nodes, bytes: row.bytes ?? 0 }
}

/** Of each path the row of the first layer that has it. */
function onTop(reader: Reader, repoIds: Layers, folder: NodePath, depth: NodeListing['depth'], now: number) {
  const layer = sql<number>`case repo_id ${sql.join(
    repoIds.map((id, index) => sql`when ${sql.lit(id)} then ${sql.lit(index)}`),
    sql` `,
  )} end`
  let rows = reader
    .selectFrom('node')
    .selectAll()
    .select(sql<number>`row_number() over (partition by path order by ${layer})`.as('place'))
    .where('repo_id', 'in', repoIds)
    .where('deleted_at', 'is', null)
    .where(visible(now))
  rows = depth === 'tree' ? rows.where(below(folder)) : rows.where('parent', '=', folder)
  return reader.selectFrom(rows.as('node')).where('place', '=', 1)
}
