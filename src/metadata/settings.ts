import type { Transaction } from './database.ts'

/** The value under a key, which is made on first use; of several processes that start at once one makes it for all. */
export async function ensureSetting(trx: Transaction, key: string, make: () => string): Promise<string> {
  await trx
    .insertInto('setting')
    .values({ key, value: make() })
    .onConflict((oc) => oc.column('key').doNothing())
    .execute()
  const row = await trx.selectFrom('setting').select('value').where('key', '=', key).executeTakeFirstOrThrow()
  return row.value
}
