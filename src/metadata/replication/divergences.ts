import type { Selectable } from 'kysely'
import { type LaneSums, laneSums, type RangeSum } from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { areFew, inRanges } from '../sql/in-ranges.ts'
import { insertingRows } from '../sql/insert-rows.ts'
import { keepInRanges } from '../sql/keep-in-ranges.ts'

/**
 * One path of a link's ledger: the target does not have it as we do. `conflict` kept there by SKIP · `failed` could not be written ·
 * `foreign` is at the target only.
 */
export interface Divergence {
  readonly path: string
  readonly reason: 'conflict' | 'failed' | 'foreign'
  /** The target's row minus ours, as both were when it was decided. Undefined: not known, so the path has to be looked at. */
  readonly delta: RangeSum | undefined
}

/** Inside the ranges, ascending by path bytes. */
export async function listDivergences(
  reader: Reader,
  linkId: number,
  ranges: readonly PathRange[],
): Promise<Divergence[]> {
  const query = reader.selectFrom('link_divergence').selectAll().where('link_id', '=', linkId).orderBy('path')
  const rows = areFew(ranges)
    ? await query.where(inRanges(ranges)).execute()
    : await keepInRanges(await query.execute(), ranges)
  return rows.map((row) => ({ path: row.path, reason: row.reason, delta: deltaOf(row) }))
}

function deltaOf(row: Selectable<Schema['link_divergence']>): RangeSum | undefined {
  if (row.dn === null) return undefined
  return {
    rows: row.dn,
    content: laneSums([row.d0, row.d1, row.d2, row.d3] as unknown as Lanes),
    metadata: laneSums([row.e0, row.e1, row.e2, row.e3] as unknown as Lanes),
  }
}

interface LedgerRow extends Divergence {
  readonly linkId: number
  readonly since: number
}
const insertDivergences = insertingRows<'link_divergence', LedgerRow>({
  into: 'link_divergence',
  columns: {
    link_id: ['bigint', ({ linkId }) => linkId],
    path: ['text', ({ path }) => path],
    reason: ['text', ({ reason }) => reason],
    since: ['bigint', ({ since }) => since],
    dn: ['bigint', ({ delta }) => delta?.rows ?? null],
    d0: ['bigint', ({ delta }) => sumOf(delta?.content, 0)],
    d1: ['bigint', ({ delta }) => sumOf(delta?.content, 1)],
    d2: ['bigint', ({ delta }) => sumOf(delta?.content, 2)],
    d3: ['bigint', ({ delta }) => sumOf(delta?.content, 3)],
    e0: ['bigint', ({ delta }) => sumOf(delta?.metadata, 0)],
    e1: ['bigint', ({ delta }) => sumOf(delta?.metadata, 1)],
    e2: ['bigint', ({ delta }) => sumOf(delta?.metadata, 2)],
    e3: ['bigint', ({ delta }) => sumOf(delta?.metadata, 3)],
  },
})
const sumOf = (sums: LaneSums | undefined, lane: 0 | 1 | 2 | 3): number | null =>
  sums === undefined ? null : Number(sums[lane])

/** Of the paths looked at, the ledger afterwards holds `found` and no other. */
export async function settleDivergences(
  trx: Transaction,
  linkId: number,
  looked: readonly string[],
  found: readonly Divergence[],
  now: number,
): Promise<void> {
  if (looked.length > 0 && (await hasDivergences(trx, linkId))) {
    await trx
      .deleteFrom('link_divergence')
      .where('link_id', '=', linkId)
      .where(anyOf(trx, 'path', looked))
      .execute()
  }
  await insertDivergences(
    trx,
    found.map(({ path, reason, delta }) => ({ linkId, path, reason, delta, since: now })),
  )
}

/** Most links have none: then nothing has to be taken out. */
async function hasDivergences(trx: Transaction, linkId: number): Promise<boolean> {
  const row = await trx
    .selectFrom('link_divergence')
    .select('link_id')
    .where('link_id', '=', linkId)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Takes paths out of the ledger that are no live files of ours any more: there is nothing left to bring over. */
export async function forgetVanished(trx: Transaction, linkId: number, repoId: number): Promise<void> {
  await trx
    .deleteFrom('link_divergence')
    .where('link_id', '=', linkId)
    .where('reason', '!=', 'foreign')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('node')
            .select('node.id')
            .where('node.repo_id', '=', repoId)
            .whereRef('node.path', '=', 'link_divergence.path')
            .where('node.deleted_at', 'is', null)
            .where('node.folder', '=', 0),
        ),
      ),
    )
    .execute()
}
