import type { Selectable } from 'kysely'
import { type LaneSums, laneSums, type RangeSum } from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PathRange } from '../../core/path-range.ts'
import { ROOT } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { areFew, inRanges } from '../sql/in-ranges.ts'
import { insertingRows } from '../sql/insert-rows.ts'
import { keepInRanges } from '../sql/keep-in-ranges.ts'
import { type Failure, type FailureState, failedAgain } from './failure-state.ts'
import { livePackagePaths } from './source-versions.ts'

/**
 * One path of a link's ledger: the target does not have it as we do. `conflict` kept there by SKIP · `failed` could not be written ·
 * `foreign` is at the target only · `superseded` was deleted or changed there later.
 */
export interface Divergence {
  readonly path: string
  readonly reason: 'conflict' | 'failed' | 'foreign' | 'superseded'
  /** The target's row minus ours, as both were when it was decided. Undefined: not known, so the path has to be looked at. */
  readonly delta: RangeSum | undefined
  /** Of what failed: why, so that it waits to be tried again. */
  readonly failure?: Failure | undefined
}

/** The path under which a link that failed as a whole waits (`failures.ts`). */
export const WHOLE_LINK = ''

/** Inside the ranges, ascending by path bytes. */
export async function listDivergences(
  reader: Reader,
  linkId: number,
  ranges: readonly PathRange[],
): Promise<Divergence[]> {
  const query = reader
    .selectFrom('link_divergence')
    .selectAll()
    .where('link_id', '=', linkId)
    .where('path', '!=', WHOLE_LINK)
    .orderBy('path')
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
  readonly state: FailureState | undefined
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
    failure_id: ['text', ({ state }) => state?.id ?? null],
    kind: ['text', ({ state }) => state?.kind ?? null],
    error_reason: ['text', ({ state }) => state?.reason ?? null],
    attempts: ['bigint', ({ state }) => state?.attempts ?? null],
    due_at: ['bigint', ({ state }) => state?.dueAt ?? null],
    created_at: ['bigint', ({ state }) => state?.createdAt ?? null],
    modified_at: ['bigint', ({ state }) => state?.modifiedAt ?? null],
  },
})
const sumOf = (sums: LaneSums | undefined, lane: 0 | 1 | 2 | 3): number | null =>
  sums === undefined ? null : Number(sums[lane])

/** Paths that were put there, or put there again, since `from` (UTC epoch ms). */
export async function pathsNotedSince(reader: Reader, linkId: number, from: number): Promise<Set<string>> {
  const rows = await reader
    .selectFrom('link_divergence')
    .select('path')
    .where('link_id', '=', linkId)
    .where('since', '>=', from)
    .execute()
  return new Set(rows.map(({ path }) => path))
}

/** Of the paths looked at, the ledger afterwards holds `found` and no other. What failed before and fails again has failed once more. */
export async function settleDivergences(
  trx: Transaction,
  linkId: number,
  looked: readonly string[],
  found: readonly Divergence[],
  now: number,
): Promise<void> {
  let earlier: ReadonlyMap<string, EarlierFailure> = new Map()
  if (looked.length > 0 && (await hasDivergences(trx, linkId))) {
    earlier = await earlierFailures(
      trx,
      linkId,
      found.flatMap(({ path, failure }) => (failure === undefined ? [] : [path])),
    )
    await trx
      .deleteFrom('link_divergence')
      .where('link_id', '=', linkId)
      .where(anyOf(trx, 'path', looked))
      .execute()
  }
  await insertDivergences(
    trx,
    found.map(({ path, reason, delta, failure }) => {
      const state = failure && failedAgain({ linkId, path }, failure, earlier.get(path), now)
      return { linkId, path, reason, delta, since: now, state }
    }),
  )
}

type EarlierFailure = Pick<FailureState, 'id' | 'attempts' | 'createdAt'>

async function earlierFailures(trx: Transaction, linkId: number, paths: readonly string[]) {
  if (paths.length === 0) return new Map<string, EarlierFailure>()
  const rows = await trx
    .selectFrom('link_divergence')
    .select(['path', 'failure_id', 'attempts', 'created_at'])
    .where('link_id', '=', linkId)
    .where('failure_id', 'is not', null)
    .where(anyOf(trx, 'path', paths))
    .execute()
  return new Map(
    rows.map(({ path, failure_id, attempts, created_at }) => [
      path,
      { id: failure_id!, attempts: attempts!, createdAt: created_at! },
    ]),
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
export async function forgetVanished(
  trx: Transaction,
  linkId: number,
  repoId: number,
  reasons: readonly Divergence['reason'][],
): Promise<void> {
  await trx
    .deleteFrom('link_divergence')
    .where('link_id', '=', linkId)
    .where('reason', 'in', reasons)
    .where('path', '!=', WHOLE_LINK)
    .where('path', '>=', ROOT)
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
  await forgetVanishedPackages(trx, linkId, repoId, reasons)
}

/** Packages and versions have places below all paths of files. */
async function forgetVanishedPackages(
  trx: Transaction,
  linkId: number,
  repoId: number,
  reasons: readonly Divergence['reason'][],
): Promise<void> {
  const rows = await trx
    .selectFrom('link_divergence')
    .select('path')
    .where('link_id', '=', linkId)
    .where('reason', 'in', reasons)
    .where('path', '!=', WHOLE_LINK)
    .where('path', '<', ROOT)
    .execute()
  for (let at = 0; at < rows.length; at += PATHS_AT_ONCE) {
    const paths = rows.slice(at, at + PATHS_AT_ONCE).map(({ path }) => path)
    const live = await livePackagePaths(trx, repoId, paths)
    const gone = paths.filter((path) => !live.has(path))
    if (gone.length === 0) continue
    await trx
      .deleteFrom('link_divergence')
      .where('link_id', '=', linkId)
      .where(anyOf(trx, 'path', gone))
      .execute()
  }
}
const PATHS_AT_ONCE = 1_000
