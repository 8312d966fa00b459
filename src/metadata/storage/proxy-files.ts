import { sql } from 'kysely'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'

/** Where a file was fetched from. Times are UTC epoch milliseconds. */
export interface ProxyFile {
  readonly channel: string
  /** Of the channel, as it was then. */
  readonly url: string
  /** Of what was fetched. */
  readonly digest: Digest
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  readonly fetchedAt: number
  readonly checkedAt: number
}

export async function findProxyFile(reader: Reader, repoId: number, path: NodePath): Promise<ProxyFile | undefined> {
  const row = await reader
    .selectFrom('proxy_file')
    .selectAll()
    .where('repo_id', '=', repoId)
    .where('path', '=', path)
    .executeTakeFirst()
  return (
    row && {
      channel: row.channel,
      url: row.url,
      digest: digestFromBytes(row.sha256),
      etag: row.etag ?? undefined,
      lastModified: row.last_modified ?? undefined,
      fetchedAt: row.fetched_at,
      checkedAt: row.checked_at,
    }
  )
}

export async function saveProxyFile(trx: Transaction, repoId: number, path: NodePath, file: ProxyFile): Promise<void> {
  const columns = {
    channel: file.channel,
    url: file.url,
    sha256: digestBytes(file.digest),
    etag: file.etag ?? null,
    last_modified: file.lastModified ?? null,
    fetched_at: file.fetchedAt,
    checked_at: file.checkedAt,
  }
  await trx
    .insertInto('proxy_file')
    .values({ repo_id: repoId, path, ...columns })
    .onConflict((oc) => oc.columns(['repo_id', 'path']).doUpdateSet(columns))
    .execute()
}

/** The upstream still has what we have. Says nothing about content that somebody else stored meanwhile. */
export async function renewProxyFile(
  trx: Transaction,
  repoId: number,
  path: NodePath,
  digest: Digest,
  checkedAt: number,
): Promise<void> {
  await trx
    .updateTable('proxy_file')
    .set({ checked_at: checkedAt })
    .where('repo_id', '=', repoId)
    .where('path', '=', path)
    .where('sha256', '=', digestBytes(digest))
    .execute()
}

/** Forgets files that are not there any more, some at a time, and secrets of repositories that are gone. @returns how many files. */
export async function sweepProxies(trx: Transaction, limit: number): Promise<number> {
  const gone = sql`select repo_id, path from proxy_file where not exists (
    select 1 from node where node.repo_id = proxy_file.repo_id and node.path = proxy_file.path and node.deleted_at is null
  ) limit ${sql.lit(limit)}`
  const { numAffectedRows } = await sql`delete from proxy_file where (repo_id, path) in (${gone})`.execute(trx)
  await sql`delete from proxy_secret where not exists (
    select 1 from repository where repository.id = proxy_secret.repo_id and repository.deleted_at is null
  )`.execute(trx)
  return Number(numAffectedRows ?? 0)
}
