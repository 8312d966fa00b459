import type { Reader, Transaction } from '../database.ts'

/**
 * Until `until` (UTC epoch ms) nothing is collected. Whoever reads contents that a snapshot names takes one before the snapshot, renews
 * it all the while and releases it at the end; of a process that died it lapses.
 */
export async function holdBlobs(trx: Transaction, holder: string, until: number): Promise<void> {
  await trx
    .insertInto('blob_hold')
    .values({ holder, until })
    .onConflict((oc) => oc.column('holder').doUpdateSet({ until }))
    .execute()
}

/** Missing is fine. */
export async function releaseHold(trx: Transaction, holder: string): Promise<void> {
  await trx.deleteFrom('blob_hold').where('holder', '=', holder).execute()
}

/**
 * Whether somebody holds all blobs. In a transaction that takes promises back or removes files this is asked after the rows were found
 * unneeded, and before the effect (docs/design/blobs.md).
 */
export async function areBlobsHeld(reader: Reader, now: number): Promise<boolean> {
  const row = await reader.selectFrom('blob_hold').select('holder').where('until', '>', now).limit(1).executeTakeFirst()
  return row !== undefined
}
