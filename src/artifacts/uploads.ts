import type { Readable } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import type { Digest } from '../core/digest.ts'
import { AppError, messageOf } from '../core/errors.ts'
import type { HlcClock } from '../core/hlc.ts'
import { checkMetadata, type Metadata } from '../core/metadata.ts'
import { ancestorsOf, type NodePath, parentOf, ROOT } from '../core/paths.ts'
import type { MetadataDatabase, Reader, Transaction } from '../metadata/database.ts'
import { isExpired, liveAt, type NodeRecord } from '../metadata/nodes.ts'
import type { Repository } from '../metadata/repositories.ts'
import type { BlobStore, StagedBlob } from '../storage/blob-store.ts'
import type { BlobIntake } from './blob-intake.ts'
import { fileInTheWay, folderInTheWay, lockLive, nodeExisted, putFiles } from './node-writer.ts'
import { refuseSystemKeys } from './nodes.ts'
import { settle, stampAbove } from './settle.ts'

/** One file as a user sends it. */
export interface FileUpload {
  readonly path: NodePath
  readonly overwrite: 'replace' | 'refuse'
  /** What the sender says the bytes hash to. `md5`: 32 lower-case hex digits. */
  readonly digest: Digest | undefined
  readonly md5: string | undefined
  /** 0: for ever. */
  readonly expiresDays: number
  readonly metadata: Metadata
}

export interface Uploads {
  /**
   * Checks that the file is welcome, only then opens the body, takes it in, and makes it visible once it is durable. Nothing is
   * left behind when it fails or the signal aborts before that.
   * @throws AppError NODE_EXISTED, NODE_CONFLICT, METADATA_INVALID before a byte is read; RECEIVE_FAILED when the body breaks
   * off; DIGEST_MISMATCH; NODE_EXISTED and NODE_CONFLICT when somebody else was quicker.
   */
  upload(
    repository: Repository,
    file: FileUpload,
    openBody: () => Readable,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord>
}

interface UploadDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
}

const DAY_MS = 86_400_000

export function createUploads({ db, blobs, intake, clock, hlc }: UploadDeps): Uploads {
  /** @throws AppError when the path is taken by what the upload may not replace. */
  function checkPlace(file: FileUpload, rows: ReadonlyMap<NodePath, NodeRecord>): void {
    const now = clock.now()
    const row = rows.get(file.path)
    if (file.path === ROOT || row?.folder) throw folderInTheWay(file.path)
    const blocking = ancestorsOf(file.path).find((path) => {
      const above = rows.get(path)
      return above !== undefined && !above.folder && !isExpired(above, now)
    })
    if (blocking !== undefined) throw fileInTheWay(blocking)
    if (row !== undefined && !isExpired(row, now) && file.overwrite === 'refuse') throw nodeExisted(file.path)
  }
  const around = (reader: Reader, repository: Repository, { path }: FileUpload) =>
    liveAt(reader, repository.id, [path, ...ancestorsOf(path)])

  async function commit(
    trx: Transaction,
    repository: Repository,
    file: FileUpload,
    staged: StagedBlob,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord> {
    const now = clock.now()
    const { path, metadata, expiresDays } = file
    const current = await lockLive(trx, repository.id, [path, parentOf(path)])
    checkPlace(file, current)
    await intake.claim(trx, [staged], signal)
    const previous = current.get(path)
    const write = {
      path,
      digest: staged.digest,
      sizeBytes: staged.sizeBytes,
      md5: staged.md5,
      metadata,
      expiresAt: expiresDays === 0 ? undefined : now + expiresDays * DAY_MS,
      createdBy: by,
      createdAt: now,
      modifiedBy: by,
      modifiedAt: now,
      origin: 0,
      hlc: stampAbove(hlc, previous?.hlc),
      viaLink: undefined,
      viaMark: undefined,
    }
    const [record] = await putFiles(trx, repository, [write], current, now)
    return record!
  }

  return {
    async upload(repository, file, openBody, by, signal) {
      refuseSystemKeys(file.metadata.map(({ key }) => key))
      checkMetadata(file.metadata)
      checkPlace(file, await around(db.read, repository, file))
      await using staged = await receive(blobs, openBody(), file, signal)
      verifyDigests(file, staged)
      await intake.prepare([staged], signal)
      signal.throwIfAborted()
      // Awaited here: the staged bytes must outlive the transaction.
      return await settle(() => db.transact((trx) => commit(trx, repository, file, staged, by, signal)))
    },
  }
}

/** A body that breaks off is the sender's failure; anything else that goes wrong here is ours. */
async function receive(
  blobs: BlobStore,
  body: Readable,
  { md5 }: FileUpload,
  signal: AbortSignal,
): Promise<StagedBlob> {
  try {
    return await blobs.receive(body, { withMd5: md5 === undefined ? undefined : true }, signal)
  } catch (cause) {
    if (cause instanceof AppError || !(body.errored !== null || signal.aborted)) throw cause
    throw new AppError('RECEIVE_FAILED', `The upload broke off: ${messageOf(cause)}`, {}, { cause })
  }
}

function verifyDigests({ digest, md5 }: FileUpload, staged: StagedBlob): void {
  const mismatch = (name: string, given: string, computed: string | undefined) =>
    new AppError('DIGEST_MISMATCH', `Digest mismatch: ${name}, the header says ${given}, the content is ${computed}`, {
      name,
    })
  if (digest !== undefined && digest !== staged.digest) throw mismatch('sha256', digest, staged.digest)
  if (md5 !== undefined && md5 !== staged.md5) throw mismatch('md5', md5, staged.md5)
}
