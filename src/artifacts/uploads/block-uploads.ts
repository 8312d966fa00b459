import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { NodePath } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { findNode, liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import * as rows from '../../metadata/storage/block-uploads.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { BlockSpool } from '../../storage/block-spool.ts'
import { checkRoom } from '../repositories/quotas.ts'
import { checkBlocks } from './block-plan.ts'
import {
  type AnnouncedDigests,
  type FilePlacement,
  type FileUpload,
  hashesFor,
  verifyDigests,
} from './file-placement.ts'
import { unlessCut } from './uploads.ts'

export type { BlockPart, BlockStyle } from '../../metadata/storage/block-uploads.ts'

/** How calls name an upload: its id counts only together with its path and style. */
export interface BlockUploadName {
  readonly uploadId: string
  readonly style: rows.BlockStyle
  readonly path: NodePath
}
export interface BlockArrival extends AnnouncedDigests {
  /** NUMBERED: from 1; SEPARATE: bytes from the start of the file. */
  readonly position: number
  /** As the sender announces it. */
  readonly sizeBytes: number | undefined
}
export interface BlockUploadOrder extends Pick<BlockUploadName, 'path' | 'style'> {
  readonly overwrite: 'replace' | 'refuse'
  readonly sizeBytes: number | undefined
}
/** The whole file. `overwrite` undefined: as the start said. */
export type Completion = Omit<FileUpload, 'path' | 'overwrite'> & {
  readonly overwrite: FileUpload['overwrite'] | undefined
}

/**
 * Files that come in blocks, which survive restarts of either side (core.md 11.4, 11.5, docs/design/block-uploads.md). Blocks may
 * come in any order, at once, again, and to any node. Whoever may write to the path may go on with an upload, not only its beginner.
 * All calls throw UPLOAD_UNKNOWN for an upload that is not there, has another path or style, is over or expired.
 */
export interface BlockUploads {
  /** @throws AppError as an upload before its first byte; QUOTA_EXCEEDED when the size is announced. */
  start(
    repository: Repository,
    order: BlockUploadOrder,
    by: string,
  ): Promise<{ readonly uploadId: string; readonly expireSeconds: number }>
  /**
   * A block at a position where one is takes its place. @throws AppError DIGEST_MISMATCH, RECEIVE_FAILED, QUOTA_EXCEEDED.
   */
  putPart(
    repository: Repository,
    name: BlockUploadName,
    block: BlockArrival,
    openBody: () => Readable,
    signal: AbortSignal,
  ): Promise<rows.BlockPart>
  /** Ascending by position. */
  list(repository: Repository, name: BlockUploadName): Promise<rows.BlockPart[]>
  /**
   * Joins the blocks to the file and makes it visible. Asked again it answers with the same node while that is there; when it
   * fails, the upload goes on. @throws AppError as an upload; UPLOAD_WITHOUT_BLOCKS, UPLOAD_INCOMPLETE; UPLOAD_INCONSISTENT for
   * another size, or blocks that changed meanwhile.
   */
  complete(
    repository: Repository,
    name: BlockUploadName,
    file: Completion,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord>
  abort(repository: Repository, name: BlockUploadName): Promise<void>
  /** Drops expired uploads and bytes that no upload counts. @returns how many directories went. */
  sweep(signal: AbortSignal): Promise<number>
}

interface BlockUploadDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly spool: BlockSpool
  readonly placement: FilePlacement
  readonly clock: Clock
  readonly ids: Pick<Ids, 'key'>
  /** Bytes that could not be removed. The sweep tries again. */
  readonly onLeftover: (error: unknown) => void
}

/** core.md 11.4. */
const LIFE_SECONDS = 43_200
/** A completion that began in time is not disturbed: nothing is swept before. */
const SWEPT_AFTER_MS = 3_600_000
const SWEPT_AT_ONCE = 100

export function createBlockUploads(deps: BlockUploadDeps): BlockUploads {
  const { db, blobs, spool, placement, clock, ids, onLeftover } = deps

  /** Open or completed. @throws AppError UPLOAD_UNKNOWN. */
  async function get({ id }: Repository, { uploadId, style, path }: BlockUploadName): Promise<rows.BlockUpload> {
    const upload = await rows.findBlockUpload(db.read, uploadId)
    const fits = upload?.repoId === id && upload.path === path && upload.style === style
    if (!fits || upload.expiresAt <= clock.now()) throw uploadUnknown(uploadId)
    return upload
  }
  async function getOpen(repository: Repository, name: BlockUploadName): Promise<rows.BlockUpload> {
    const upload = await get(repository, name)
    if (upload.completed !== undefined) throw uploadUnknown(name.uploadId)
    return upload
  }
  /** For changes, in whose transaction nobody else changes it. */
  async function lockOpen(trx: Transaction, uploadId: string): Promise<void> {
    const upload = await rows.lockBlockUpload(trx, uploadId)
    if (upload === undefined || upload.completed !== undefined) throw uploadUnknown(uploadId)
  }

  /** Of the blocks so far and `sizeBytes` more. @throws AppError QUOTA_EXCEEDED. */
  async function checkQuota(
    repository: Repository,
    { uploadId, path }: BlockUploadName,
    position: number,
    more: number,
  ) {
    if (repository.quota === null) return
    const besides = await rows.bytesBesides(db.read, uploadId, position)
    const replaced = (await liveAt(db.read, repository.id, [path])).get(path)?.sizeBytes ?? 0
    await checkRoom(db.read, repository, besides + more - replaced)
  }

  async function forget(work: Promise<void>): Promise<void> {
    await work.catch(onLeftover)
  }

  /** What an upload became, for whoever asks again. @throws AppError UPLOAD_UNKNOWN when that is gone, too. */
  async function becameOf({ repoId, path, uploadId, completed }: rows.BlockUpload): Promise<NodeRecord> {
    const node = await findNode(db.read, repoId, path, clock.now())
    if (node?.digest === undefined || node.digest !== completed) throw uploadUnknown(uploadId)
    return node
  }

  async function join(
    repository: Repository,
    upload: rows.BlockUpload,
    file: FileUpload,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord> {
    const { uploadId, style } = upload
    const parts = await rows.listBlockParts(db.read, uploadId)
    const sizeBytes = checkBlocks(uploadId, style, parts, file.sizeBytes)
    const replacedBytes = await placement.check(repository, file)
    await checkRoom(db.read, repository, sizeBytes - replacedBytes)
    const source = spool.open(
      uploadId,
      parts.map(({ name }) => name),
      signal,
    )
    try {
      await using staged = await blobs.receive(source, { ...hashesFor(file), sizeBytes }, signal)
      verifyDigests(file, staged)
      // Awaited here: the staged bytes must outlive the transaction.
      return await placement.place(repository, file, staged, by, signal, async (trx) => {
        await lockOpen(trx, uploadId)
        if (!sameBlocks(parts, await rows.listBlockParts(trx, uploadId))) throw changedMeanwhile(uploadId)
        await rows.completeBlockUpload(trx, uploadId, staged.digest)
      })
    } catch (error) {
      if (!hasCode(error, 'ARTIFACT_BROKEN')) throw error
      const message = `Upload [${uploadId}] cannot be joined: its stored blocks have other sizes than when they came`
      throw new AppError('UPLOAD_INCOMPLETE', message, { uploadId }, { cause: error })
    } finally {
      source.destroy()
    }
  }

  return {
    async start(repository, { style, path, overwrite, sizeBytes }, by) {
      const replacedBytes = await placement.check(repository, { path, overwrite, metadata: [], expiresDays: 0 })
      if (sizeBytes !== undefined) await checkRoom(db.read, repository, sizeBytes - replacedBytes)
      const uploadId = ids.key()
      const createdAt = clock.now()
      const life = { createdBy: by, createdAt, expiresAt: createdAt + LIFE_SECONDS * 1000 }
      const upload = { uploadId, style, repoId: repository.id, path, overwrite, ...life }
      await db.transact((trx) => rows.insertBlockUpload(trx, upload))
      return { uploadId, expireSeconds: LIFE_SECONDS }
    },

    async putPart(repository, name, { position, sizeBytes, ...announced }, openBody, signal) {
      const { uploadId, style } = await getOpen(repository, name)
      if (sizeBytes !== undefined) await checkQuota(repository, name, position, sizeBytes)
      const fileName = ids.key()
      const body = openBody()
      // Who sends by offset is told the CRC of each block (core.md 11.5).
      const hashes = style === 'SEPARATE' ? { ...hashesFor(announced), withCrc64: true as const } : hashesFor(announced)
      const block = await unlessCut(body, signal, () => spool.put(uploadId, fileName, body, hashes, signal))
      const { digest, crc64 } = block
      const part = { position, name: fileName, sizeBytes: block.sizeBytes, digest, crc64 }
      try {
        verifyDigests(announced, block)
        if (sizeBytes === undefined) await checkQuota(repository, name, position, block.sizeBytes)
        const before = await db.transact(async (trx) => {
          await lockOpen(trx, uploadId)
          return rows.putBlockPart(trx, uploadId, part)
        })
        if (before !== undefined) await forget(spool.remove(uploadId, before.name))
      } catch (error) {
        // After anything else nobody knows whether the row is there: the bytes stay as long as the upload does.
        if (error instanceof AppError) await forget(spool.remove(uploadId, fileName))
        throw error
      }
      return part
    },

    async list(repository, name) {
      const { uploadId } = await getOpen(repository, name)
      return rows.listBlockParts(db.read, uploadId)
    },

    async complete(repository, name, file, by, signal) {
      const { uploadId, path } = name
      const upload = await get(repository, name)
      if (upload.completed !== undefined) return becameOf(upload)
      let node: NodeRecord
      try {
        const whole = { ...file, path, overwrite: file.overwrite ?? upload.overwrite }
        node = await join(repository, upload, whole, by, signal)
      } catch (error) {
        signal.throwIfAborted()
        // The same call may have come twice, and the other one was first.
        const today = await rows.findBlockUpload(db.read, uploadId)
        if (today?.completed !== undefined) return becameOf(today)
        throw today === undefined ? uploadUnknown(uploadId) : error
      }
      await forget(spool.removeUpload(uploadId))
      return node
    },

    async abort(repository, name) {
      const { uploadId } = await getOpen(repository, name)
      await db.transact(async (trx) => {
        await lockOpen(trx, uploadId)
        await rows.deleteBlockUploads(trx, [uploadId])
      })
      await forget(spool.removeUpload(uploadId))
    },

    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted()
        const expired = await rows.expiredBlockUploads(db.read, clock.now() - SWEPT_AFTER_MS, SWEPT_AT_ONCE)
        if (expired.length === 0) break
        await db.transact((trx) => rows.deleteBlockUploads(trx, expired))
      }
      // A row is there before the first byte is: what has none now will not get one.
      let swept = 0
      const found = await Array.fromAsync(spool.list(signal))
      for (let at = 0; at < found.length; at += SWEPT_AT_ONCE) {
        const slice = found.slice(at, at + SWEPT_AT_ONCE)
        const open = await rows.openBlockUploads(db.read, slice)
        for (const uploadId of slice.filter((one) => !open.has(one))) {
          signal.throwIfAborted()
          await forget(spool.removeUpload(uploadId))
          swept++
        }
      }
      return swept
    },
  }
}

const sameBlocks = (before: readonly rows.BlockPart[], now: readonly rows.BlockPart[]): boolean =>
  before.length === now.length && before.every(({ name }, at) => now[at]?.name === name)

const uploadUnknown = (uploadId: string): AppError =>
  new AppError(
    'UPLOAD_UNKNOWN',
    `Upload [${uploadId.slice(0, 64)}] is not open: it was never started here, is completed or aborted, or has expired`,
    {},
  )
const changedMeanwhile = (uploadId: string): AppError =>
  new AppError('UPLOAD_INCONSISTENT', `Blocks of upload [${uploadId}] came while it was completed: complete it again`, {
    uploadId,
  })
