import { type Digest, digestBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'

/** A resumable upload of one large blob from another cluster; its parts are in the spool. */
export interface Upload {
  readonly uploadId: string
  readonly sizeBytes: number
  readonly partSizeBytes: number
}

export async function findUpload(reader: Reader, uploadId: string): Promise<Upload | undefined> {
  const row = await reader
    .selectFrom('upload')
    .select(['size', 'part_size'])
    .where('upload_id', '=', uploadId)
    .executeTakeFirst()
  return row && { uploadId, sizeBytes: row.size, partSizeBytes: row.part_size }
}

/** Makes it, or gives it a longer life; the layout of an upload that is there stays. */
export async function keepUpload(
  trx: Transaction,
  upload: Upload & { readonly digest: Digest },
  now: number,
  expiresAt: number,
): Promise<void> {
  await trx
    .insertInto('upload')
    .values({
      upload_id: upload.uploadId,
      sha256: digestBytes(upload.digest),
      size: upload.sizeBytes,
      part_size: upload.partSizeBytes,
      created_at: now,
      expires_at: expiresAt,
    })
    .onConflict((oc) => oc.column('upload_id').doUpdateSet({ expires_at: expiresAt }))
    .execute()
}

export async function deleteUpload(trx: Transaction, uploadId: string): Promise<void> {
  await trx.deleteFrom('upload').where('upload_id', '=', uploadId).execute()
}

export async function expiredUploads(reader: Reader, now: number, limit: number): Promise<string[]> {
  const rows = await reader
    .selectFrom('upload')
    .select('upload_id')
    .where('expires_at', '<', now)
    .limit(limit)
    .execute()
  return rows.map((row) => row.upload_id)
}
