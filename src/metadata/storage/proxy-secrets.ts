import type { Reader, Transaction } from '../database.ts'

/** Encrypted passwords of a repository, by slot. */
export async function listProxySecrets(reader: Reader, repoId: number): Promise<Map<string, string>> {
  const rows = await reader
    .selectFrom('proxy_secret')
    .select(['slot', 'secret'])
    .where('repo_id', '=', repoId)
    .execute()
  return new Map(rows.map(({ slot, secret }) => [slot, secret]))
}

/** These and no others, from now on. */
export async function replaceProxySecrets(
  trx: Transaction,
  repoId: number,
  secrets: ReadonlyMap<string, string>,
): Promise<void> {
  await trx.deleteFrom('proxy_secret').where('repo_id', '=', repoId).execute()
  const rows = [...secrets].map(([slot, secret]) => ({ repo_id: repoId, slot, secret }))
  if (rows.length > 0) await trx.insertInto('proxy_secret').values(rows).execute()
}
