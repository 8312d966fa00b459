import type { Reader, Transaction } from '../database.ts'
import { insertingRows } from '../sql/insert-rows.ts'

/** A path that a run looks at, and what the target had there when it was planned: `rowIdOf`, empty for nothing, null for not known. */
export interface PlannedPath {
  readonly path: string
  readonly expect: Uint8Array | null
  /** What is done when no file is there: its end is brought over. Undefined: nothing. */
  readonly ifGone?: 'delete' | undefined
}

interface ShardOfPaths {
  readonly recordId: string
  readonly linkId: number
  readonly shardNo: number
}
const insertPaths = insertingRows<'exec_path', PlannedPath & ShardOfPaths>({
  into: 'exec_path',
  columns: {
    record_id: ['text', ({ recordId }) => recordId],
    link_id: ['bigint', ({ linkId }) => linkId],
    shard_no: ['bigint', ({ shardNo }) => shardNo],
    path: ['text', ({ path }) => path],
    expect: ['bytea', ({ expect }) => expect],
    deletes: ['bigint', ({ ifGone }) => Number(ifGone === 'delete')],
  },
})

export async function putPlannedPaths(
  trx: Transaction,
  { recordId, linkId, shardNo }: ShardOfPaths,
  paths: readonly PlannedPath[],
): Promise<void> {
  await insertPaths(
    trx,
    paths.map((planned) => ({ recordId, linkId, shardNo, ...planned })),
  )
}

/** Paths of one shard above `after`, ascending by path bytes. */
export async function pagePlannedPaths(
  reader: Reader,
  { recordId, linkId, shardNo }: ShardOfPaths,
  after: string | undefined,
  limit: number,
): Promise<PlannedPath[]> {
  let query = reader
    .selectFrom('exec_path')
    .select(['path', 'expect', 'deletes'])
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('shard_no', '=', shardNo)
  if (after !== undefined) query = query.where('path', '>', after)
  const rows = await query.orderBy('path').limit(limit).execute()
  return rows.map(({ path, expect, deletes }) => ({ path, expect, ifGone: deletes === 1 ? 'delete' : undefined }))
}

/** Those of a link, or of one of its shards. */
export async function deletePlannedPaths(
  trx: Transaction,
  { recordId, linkId, shardNo }: { readonly recordId: string; readonly linkId: number; readonly shardNo?: number },
): Promise<void> {
  const ofLink = trx.deleteFrom('exec_path').where('record_id', '=', recordId).where('link_id', '=', linkId)
  await (shardNo === undefined ? ofLink : ofLink.where('shard_no', '=', shardNo)).execute()
}
