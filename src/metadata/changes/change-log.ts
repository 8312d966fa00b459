import type { Selectable } from 'kysely'
import type { Lanes } from '../../core/lanes.ts'
import { NO_LANES } from '../../core/lanes.ts'
import type { Transaction } from '../database.ts'
import type { ChangeOp, Schema } from '../schema.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, type RowInsert } from '../sql/insert-rows.ts'
import { nextId } from '../sql/next-id.ts'

/** What a live file adds to the fingerprint of a range. */
export interface FileLanes {
  readonly content: Lanes
  readonly metadata: Lanes
}

/** One changed path. `before` and `after` are undefined where no live file is: nothing there, or a folder. */
export interface Change {
  readonly repoId: number
  readonly path: string
  readonly op: ChangeOp
  /** `peer.id` of the cluster that made the change; 0: here. */
  readonly origin: number
  /** `peer_link.id` of the link that brought it; null: a local user did it. */
  readonly viaLink: number | null
  /** UTC epoch milliseconds. */
  readonly at: number
  readonly before: FileLanes | undefined
  readonly after: FileLanes | undefined
}

/** A row as it is inserted. */
type ChangeRow = Omit<Selectable<Schema['change_log']>, 'seq'>

const COLUMNS: RowInsert<'change_log', ChangeRow>['columns'] = {
  repo_id: ['bigint', (row) => row.repo_id],
  path: ['text', (row) => row.path],
  op: ['bigint', (row) => row.op],
  origin: ['bigint', (row) => row.origin],
  via_link: ['bigint', (row) => row.via_link],
  at: ['bigint', (row) => row.at],
  dn: ['bigint', (row) => row.dn],
  d0: ['bigint', (row) => row.d0],
  d1: ['bigint', (row) => row.d1],
  d2: ['bigint', (row) => row.d2],
  d3: ['bigint', (row) => row.d3],
  e0: ['bigint', (row) => row.e0],
  e1: ['bigint', (row) => row.e1],
  e2: ['bigint', (row) => row.e2],
  e3: ['bigint', (row) => row.e3],
}
const insertNumbered = insertingRows<'change_log', ChangeRow>({
  into: 'change_log',
  columns: { id: ['bigint', (row) => row.id], seq: ['bigint', (row) => row.id], ...COLUMNS },
})
const insertUnnumbered = insertingRows({ into: 'change_log', columns: COLUMNS })

/**
 * Writes the rows in the transaction of the changes themselves. SQLite: one transaction at a time commits, in the order of ids, so
 * the id is the number. PostgreSQL numbers them later (`sequencer.ts`).
 */
export async function appendChanges(trx: Transaction, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  const isSqlite = dialectOf(trx) === 'sqlite'
  const firstId = isSqlite ? await nextId(trx, 'change_log') : 0
  const rows = changes.map((change, index) => toRow(change, firstId + index))
  await (isSqlite ? insertNumbered : insertUnnumbered)(trx, rows)
}

function toRow({ repoId, path, op, origin, viaLink, at, before, after }: Change, id: number): ChangeRow {
  const content = minus(after?.content, before?.content)
  const metadata = minus(after?.metadata, before?.metadata)
  return {
    id,
    repo_id: repoId,
    path,
    op,
    origin,
    via_link: viaLink,
    at,
    dn: Number(after !== undefined) - Number(before !== undefined),
    d0: content[0],
    d1: content[1],
    d2: content[2],
    d3: content[3],
    e0: metadata[0],
    e1: metadata[1],
    e2: metadata[2],
    e3: metadata[3],
  }
}
const minus = (after: Lanes = NO_LANES, before: Lanes = NO_LANES): Lanes =>
  before === NO_LANES ? after : [after[0] - before[0], after[1] - before[1], after[2] - before[2], after[3] - before[3]]
