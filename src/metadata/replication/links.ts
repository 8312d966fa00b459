import type { Selectable } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { forgetUnsettled } from './unsettled.ts'

/** One (task object, target cluster) and how far it got. */
export interface Link {
  readonly id: number
  readonly key: string
  readonly repoId: number
  readonly scopeHash: string
  /** Undefined: nothing is known of the target, it has to be compared as a whole. */
  readonly cursor: LinkCursor | undefined
}
/** Up to `ackedSeq` of our change log the target has everything but what the ledger (`divergences.ts`) lists. */
export interface LinkCursor {
  readonly repoEpoch: string
  readonly ackedSeq: number
  /** Up to here of the target's change log nobody but this link wrote in the scope. */
  readonly remote: RemotePosition
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
    })
    .onConflict((oc) => oc.column('key').doUpdateSet({ repo_id: link.repoId }))
    .execute()
  return toLink(await trx.selectFrom('link').selectAll().where('key', '=', link.key).executeTakeFirstOrThrow())
}

export async function findLink(reader: Reader, id: number): Promise<Link | undefined> {
  const row = await reader.selectFrom('link').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toLink(row)
}

export async function findLinkByKey(reader: Reader, key: string): Promise<Link | undefined> {
  const row = await reader.selectFrom('link').selectAll().where('key', '=', key).executeTakeFirst()
  return row && toLink(row)
}

export async function linksOfTask(reader: Reader, taskKey: string): Promise<Link[]> {
  return (await reader.selectFrom('link').selectAll().where('task_key', '=', taskKey).execute()).map(toLink)
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
    })
    .where('id', '=', linkId)
    .execute()
}

/** Nothing is known of the target any more but what the ledger says of this scope. */
export async function forgetCursor(trx: Transaction, linkId: number, scopeHash: string): Promise<void> {
  await trx
    .updateTable('link')
    .set({ scope_hash: scopeHash, repo_epoch: null, acked_seq: null })
    .where('id', '=', linkId)
    .execute()
}

/** The repository was deleted and made again: what is known of the old one says nothing. */
export async function moveLink(trx: Transaction, linkId: number, repoId: number): Promise<void> {
  const unknown = { repo_epoch: null, acked_seq: null, remote_epoch: null, remote_seq: null, remote_mark: null }
  await trx
    .updateTable('link')
    .set({ ...unknown, repo_id: repoId })
    .where('id', '=', linkId)
    .execute()
  await trx.deleteFrom('link_divergence').where('link_id', '=', linkId).execute()
  await forgetUnsettled(trx, [linkId])
}

/** The target has everything up to this number, but what the ledger lists. */
export async function saveAckedSeq(trx: Transaction, linkId: number, seq: number): Promise<void> {
  await trx.updateTable('link').set({ acked_seq: seq }).where('id', '=', linkId).execute()
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
