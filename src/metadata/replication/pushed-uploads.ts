import type { Reader, Transaction } from '../database.ts'

/** How far the upload of a large content to a registry got; kept so that it goes on after the end of the process. */
export interface PushedUpload {
  readonly clusterId: string
  /** As it is called over there. */
  readonly repository: string
  /** `sha256:…` */
  readonly content: string
}

export async function findPushedUpload(
  reader: Reader,
  { clusterId, repository, content }: PushedUpload,
): Promise<{ readonly location: string; readonly offset: number } | undefined> {
  const row = await reader
    .selectFrom('pushed_upload')
    .select(['location', 'taken'])
    .where('cluster_id', '=', clusterId)
    .where('repository', '=', repository)
    .where('content', '=', content)
    .executeTakeFirst()
  return row && { location: row.location, offset: row.taken }
}

/** @param at UTC epoch ms. */
export async function savePushedUpload(
  trx: Transaction,
  { clusterId, repository, content }: PushedUpload,
  { location, offset }: { readonly location: string; readonly offset: number },
  at: number,
): Promise<void> {
  await trx
    .insertInto('pushed_upload')
    .values({ cluster_id: clusterId, repository, content, location, taken: offset, at })
    .onConflict((oc) =>
      oc.columns(['cluster_id', 'repository', 'content']).doUpdateSet((eb) => ({
        location: eb.ref('excluded.location'),
        taken: eb.ref('excluded.taken'),
        at: eb.ref('excluded.at'),
      })),
    )
    .execute()
}

export async function forgetPushedUpload(
  trx: Transaction,
  { clusterId, repository, content }: PushedUpload,
): Promise<void> {
  await trx
    .deleteFrom('pushed_upload')
    .where('cluster_id', '=', clusterId)
    .where('repository', '=', repository)
    .where('content', '=', content)
    .execute()
}

/** The registry is another now, or gone. */
export async function forgetUploadsTo(trx: Transaction, clusterId: string): Promise<void> {
  await trx.deleteFrom('pushed_upload').where('cluster_id', '=', clusterId).execute()
}

/** Registries forget uploads after some days. @param before UTC epoch ms. */
export async function sweepPushedUploads(trx: Transaction, before: number): Promise<void> {
  await trx.deleteFrom('pushed_upload').where('at', '<', before).execute()
}
