import type { Selectable } from 'kysely'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { inRanges } from '../sql/in-ranges.ts'

/** One (task object, target cluster) and how far it got. */
export interface Link {
  readonly id: number
  readonly key: string
  readonly repoId: number
  readonly scopeHash: string
  /** Undefined: nothing is known of the target, it has to be compared as a whole. */
  readonly cursor: LinkCursor | undefined
}
/** Up to `ackedSeq` of our change log the target has everything but what the ledger (`link_divergence`) lists. */
export interface LinkCursor {
  readonly repoEpoch: string
  readonly ackedSeq: number
  /** Up to here of the target's change log nobody but this link wrote in the scope. */
  readonly remote: RemotePosition
  /** Live files of the scope at `ackedSeq`. */
  readonly scopeFiles: number
}
/** A place in the target's change log. */
export interface RemotePosition {
  readonly epoch: string
  readonly seq: number
  readonly mark: string
}
export interface NewLink {
  readonly key: string
  readonly taskKey: string
  readonly clusterId: string
  readonly repoId: number
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly scopeHash: string
}

/** Finds the link by its key or makes it. */
export async function ensureLink(trx: Transaction, link: NewLink): Promise<Link> {
  await trx
    .insertInto('link')
    .values({
      key: link.key,
      task_key: link.taskKey,
      cluster_id: link.clusterId,
      repo_id: link.repoId,
      remote_project: link.remoteProject,
      remote_repo: link.remoteRepo,
      scope_hash: link.scopeHash,
      repo_epoch: null,
      acked_seq: null,
      remote_epoch: null,
      remote_seq: null,
      remote_mark: null,
      scope_files: 0,
    })
    .onConflict((oc) => oc.column('key').doUpdateSet({ repo_id: link.repoId }))
    .execute()
  return toLink(await trx.selectFrom('link').selectAll().where('key', '=', link.key).executeTakeFirstOrThrow())
}

export async function findLink(reader: Reader, id: number): Promise<Link | undefined> {
  const row = await reader.selectFrom('link').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toLink(row)
}

function toLink(row: Selectable<Schema['link']>): Link {
  const { repo_epoch, acked_seq, remote_epoch, remote_seq, remote_mark } = row
  const remote =
    remote_epoch === null || remote_seq === null || remote_mark === null
      ? undefined
      : { epoch: remote_epoch, seq: remote_seq, mark: remote_mark }
  const known = repo_epoch !== null && acked_seq !== null && remote !== undefined
  return {
    id: row.id,
    key: row.key,
    repoId: row.repo_id,
    scopeHash: row.scope_hash,
    cursor: known
      ? {
          repoEpoch: repo_epoch,
          ackedSeq: acked_seq,
          remote,
          scopeFiles: row.scope_files,
        }
      : undefined,
  }
}

export async function saveCursor(
  trx: Transaction,
  linkId: number,
  scopeHash: string,
  cursor: LinkCursor,
): Promise<void> {
  await trx
    .updateTable('link')
    .set({
      scope_hash: scopeHash,
      repo_epoch: cursor.repoEpoch,
      acked_seq: cursor.ackedSeq,
      remote_epoch: cursor.remote.epoch,
      remote_seq: cursor.remote.seq,
      remote_mark: cursor.remote.mark,
      scope_files: cursor.scopeFiles,
    })
    .where('id', '=', linkId)
    .execute()
}

/** Forgets cursor and ledger together: from here on only a comparison of the whole scope tells what is missing. */
export async function voidCursor(trx: Transaction, linkId: number): Promise<void> {
  const none = { repo_epoch: null, acked_seq: null, remote_epoch: null, remote_seq: null, remote_mark: null }
  await trx.updateTable('link').set(none).where('id', '=', linkId).execute()
  await trx.deleteFrom('link_divergence').where('link_id', '=', linkId).execute()
}

export interface Divergence {
  readonly path: string
  readonly reason: 'conflict' | 'failed'
}

/** Paths of the ledger inside the ranges, ascending by path bytes. */
export async function divergentPaths(reader: Reader, linkId: number, ranges: readonly PathRange[]): Promise<string[]> {
  const rows = await reader
    .selectFrom('link_divergence')
    .select('path')
    .where('link_id', '=', linkId)
    .where(inRanges(ranges))
    .orderBy('path')
    .execute()
  return rows.map((row) => row.path)
}

/** Of the paths looked at, the ledger afterwards holds `found` and no other. */
export async function settleDivergences(
  trx: Transaction,
  linkId: number,
  looked: readonly string[],
  found: readonly Divergence[],
  now: number,
): Promise<void> {
  if (looked.length > 0) {
    await trx.deleteFrom('link_divergence').where('link_id', '=', linkId).where('path', 'in', looked).execute()
  }
  if (found.length > 0) {
    const rows = found.map(({ path, reason }) => ({ link_id: linkId, path, reason, since: now }))
    await trx.insertInto('link_divergence').values(rows).execute()
  }
}

/** Takes paths out of the ledger that are no live files any more: there is nothing left to bring over. */
export async function forgetVanished(trx: Transaction, linkId: number, repoId: number): Promise<void> {
  await trx
    .deleteFrom('link_divergence')
    .where('link_id', '=', linkId)
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

/** By cluster id: how long the oldest change waits that a link with a cursor has not brought over, in milliseconds. */
export async function replicationLags(reader: Reader, now: number): Promise<Map<string, number>> {
  const rows = await reader
    .selectFrom('link')
    .select((eb) => [
      'cluster_id',
      eb
        .selectFrom('change_log')
        .select((log) => log.fn.min('at').as('oldest'))
        .whereRef('change_log.repo_id', '=', 'link.repo_id')
        .whereRef('change_log.seq', '>', 'link.acked_seq')
        .as('oldest'),
    ])
    .where('acked_seq', 'is not', null)
    .execute()
  const lags = new Map<string, number>()
  for (const { cluster_id, oldest } of rows) {
    const lag = oldest === null ? 0 : Math.max(0, now - oldest)
    lags.set(cluster_id, Math.max(lag, lags.get(cluster_id) ?? 0))
  }
  return lags
}
