import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'

/** `NUMBERED`: blocks have numbers from 1 (core.md 11.4); `SEPARATE`: offsets in the file (11.5). */
export type BlockStyle = 'NUMBERED' | 'SEPARATE'

/** A file that comes in blocks. Times are UTC epoch milliseconds. */
export interface BlockUpload {
  readonly uploadId: string
  readonly style: BlockStyle
  readonly repoId: number
  readonly path: NodePath
  readonly overwrite: 'replace' | 'refuse'
  readonly createdBy: string
  readonly createdAt: number
  readonly expiresAt: number
  /** Of the file it became; undefined: it takes blocks. */
  readonly completed: Digest | undefined
}

/** A block whose bytes are durable. */
export interface BlockPart {
  /** NUMBERED: from 1; SEPARATE: bytes from the start of the file. */
  readonly position: number
  /** Of its bytes in the spool. */
  readonly name: string
  readonly sizeBytes: number
  readonly digest: Digest
  readonly crc64: string | undefined
}

export async function insertBlockUpload(trx: Transaction, upload: Omit<BlockUpload, 'completed'>): Promise<void> {
  await trx
    .insertInto('block_upload')
    .values({
      upload_id: upload.uploadId,
      style: upload.style,
      repo_id: upload.repoId,
      path: upload.path,
      overwrite: upload.overwrite === 'replace' ? 1 : 0,
      created_by: upload.createdBy,
      created_at: upload.createdAt,
      expires_at: upload.expiresAt,
      completed_sha256: null,
    })
    .execute()
}

export async function findBlockUpload(reader: Reader, uploadId: string): Promise<BlockUpload | undefined> {
  const row = await rowOf(reader, uploadId).executeTakeFirst()
  return row && toUpload(row)
}

/** As `findBlockUpload`; until the transaction ends, nobody else adds a block, completes or aborts. */
export async function lockBlockUpload(trx: Transaction, uploadId: string): Promise<BlockUpload | undefined> {
  const query = rowOf(trx, uploadId)
  const row = await (dialectOf(trx) === 'postgres' ? query.forUpdate() : query).executeTakeFirst()
  return row && toUpload(row)
}

const rowOf = (reader: Reader, uploadId: string) =>
  reader.selectFrom('block_upload').selectAll().where('upload_id', '=', uploadId)

/** Ascending by position. */
export async function listBlockParts(reader: Reader, uploadId: string): Promise<BlockPart[]> {
  const rows = await reader
    .selectFrom('block_part')
    .select(['position', 'name', 'size', 'sha256', 'crc64'])
    .where('upload_id', '=', uploadId)
    .orderBy('position')
    .execute()
  return rows.map(({ position, name, size, sha256, crc64 }) => ({
    position,
    name,
    sizeBytes: size,
    digest: digestFromBytes(sha256),
    crc64: crc64 ?? undefined,
  }))
}

/** Bytes of all blocks but the one at `position`. */
export async function bytesBesides(reader: Reader, uploadId: string, position: number): Promise<number> {
  const row = await reader
    .selectFrom('block_part')
    .select((eb) => eb.fn.sum<number | null>('size').as('bytes'))
    .where('upload_id', '=', uploadId)
    .where('position', '!=', position)
    .executeTakeFirstOrThrow()
  return row.bytes ?? 0
}

/** The caller holds the upload. @returns the block that was at the position before. */
export async function putBlockPart(
  trx: Transaction,
  uploadId: string,
  part: BlockPart,
): Promise<Pick<BlockPart, 'name'> | undefined> {
  const before = await trx
    .selectFrom('block_part')
    .select('name')
    .where('upload_id', '=', uploadId)
    .where('position', '=', part.position)
    .executeTakeFirst()
  const content = {
    name: part.name,
    size: part.sizeBytes,
    sha256: digestBytes(part.digest),
    crc64: part.crc64 ?? null,
  }
  await trx
    .insertInto('block_part')
    .values({ upload_id: uploadId, position: part.position, ...content })
    .onConflict((oc) => oc.columns(['upload_id', 'position']).doUpdateSet(content))
    .execute()
  return before
}

/** It became a file: it takes no more blocks. The row stays, so that whoever missed the answer can ask again. */
export async function completeBlockUpload(trx: Transaction, uploadId: string, digest: Digest): Promise<void> {
  await trx.deleteFrom('block_part').where('upload_id', '=', uploadId).execute()
  await trx
    .updateTable('block_upload')
    .set({ completed_sha256: digestBytes(digest) })
    .where('upload_id', '=', uploadId)
    .execute()
}

/** Missing ones are fine. */
export async function deleteBlockUploads(trx: Transaction, uploadIds: readonly string[]): Promise<void> {
  if (uploadIds.length === 0) return
  await trx.deleteFrom('block_upload').where('upload_id', 'in', uploadIds).execute()
  await trx.deleteFrom('block_part').where('upload_id', 'in', uploadIds).execute()
}

export async function expiredBlockUploads(reader: Reader, expiredBefore: number, limit: number): Promise<string[]> {
  const rows = await reader
    .selectFrom('block_upload')
    .select('upload_id')
    .where('expires_at', '<', expiredBefore)
    .orderBy('expires_at')
    .limit(limit)
    .execute()
  return rows.map((row) => row.upload_id)
}

/** Which of the uploads have blocks that count. */
export async function openBlockUploads(reader: Reader, uploadIds: readonly string[]): Promise<Set<string>> {
  if (uploadIds.length === 0) return new Set()
  const rows = await reader
    .selectFrom('block_upload')
    .select('upload_id')
    .where('upload_id', 'in', uploadIds)
    .where('completed_sha256', 'is', null)
    .execute()
  return new Set(rows.map((row) => row.upload_id))
}

interface Row {
  readonly upload_id: string
  readonly style: BlockStyle
  readonly repo_id: number
  readonly path: string
  readonly overwrite: number
  readonly created_by: string
  readonly created_at: number
  readonly expires_at: number
  readonly completed_sha256: Uint8Array | null
}

const toUpload = (row: Row): BlockUpload => ({
  uploadId: row.upload_id,
  style: row.style,
  repoId: row.repo_id,
  path: row.path as NodePath,
  overwrite: row.overwrite === 1 ? 'replace' : 'refuse',
  createdBy: row.created_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  completed: row.completed_sha256 === null ? undefined : digestFromBytes(row.completed_sha256),
})
