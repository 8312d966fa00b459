import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { checkMetadata, type Metadata } from '../../core/metadata.ts'
import { ancestorsOf, type NodePath, parentOf, ROOT } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { placesAt, type TakenPlace } from '../../metadata/nodes/taken-places.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { StagedBlob } from '../../storage/blob-store.ts'
import type { HashOptions } from '../../storage/content-hashes.ts'
import type { BlobIntake } from '../blobs/blob-intake.ts'
import { type FileWrite, fileInTheWay, folderInTheWay, lockLive, nodeExisted, putFiles } from '../nodes/node-writer.ts'
import { settle, stampAbove } from '../nodes/settle.ts'
import { refuseSystemKeys } from '../nodes/system-metadata.ts'
import { requireUploads } from '../repositories/repository-uploads.ts'

/** What a sender says that bytes hash to: `md5` 32 lower-case hex digits, `crc64` an unsigned decimal. */
export interface AnnouncedDigests {
  readonly digest: Digest | undefined
  readonly md5: string | undefined
  readonly crc64?: string | undefined
}

/** One file as a user sends it. */
export interface FileUpload extends AnnouncedDigests {
  readonly path: NodePath
  readonly overwrite: 'replace' | 'refuse'
  /** 0: for ever. */
  readonly expiresDays: number
  readonly metadata: Metadata
  /** As the sender announces it. */
  readonly sizeBytes?: number | undefined
  /** `when-invited`: the sender wants to hear of a refusal before it sends (`Expect: 100-continue`). */
  readonly sending?: 'at-once' | 'when-invited' | undefined
}

/** How staged bytes become the file at a path. */
export interface FilePlacement {
  /**
   * Whether the file would be welcome, before its bytes come. @returns bytes of the file that it would replace.
   * @throws AppError METHOD_NOT_ALLOWED for a repository that takes no files, METADATA_INVALID, NODE_EXISTED, NODE_CONFLICT.
   */
  check(repository: Repository, file: Omit<FileUpload, keyof AnnouncedDigests>): Promise<number>
  /**
   * Makes it visible. `first` runs at the beginning of the same transaction, which may be repeated. @throws AppError as `check`,
   * when somebody else was quicker; QUOTA_EXCEEDED; what `first` throws.
   */
  place(
    repository: Repository,
    file: FileUpload,
    staged: StagedBlob,
    by: string,
    signal: AbortSignal,
    first?: (trx: Transaction) => Promise<void>,
  ): Promise<NodeRecord>
}

interface PlacementDeps {
  readonly db: MetadataDatabase
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
}

const DAY_MS = 86_400_000

export function createFilePlacement({ db, intake, clock, hlc }: PlacementDeps): FilePlacement {
  async function commit(
    trx: Transaction,
    repository: Repository,
    file: FileUpload,
    staged: StagedBlob,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord> {
    const now = clock.now()
    const { path } = file
    const current = await lockLive(trx, repository.id, [path, parentOf(path)])
    checkPlace(file, current, now)
    await intake.claim(trx, [staged], signal)
    const write = fileWriteOf(file, staged, by, { hlc, now, previous: current.get(path) })
    const [record] = await putFiles(trx, repository, [write], current, now)
    return record!
  }

  return {
    async check(repository, file) {
      checkUpload(repository, file)
      const rows = await placesAt(db.read, repository.id, [file.path, ...ancestorsOf(file.path)])
      checkPlace(file, rows, clock.now())
      return rows.get(file.path)?.sizeBytes ?? 0
    },
    async place(repository, file, staged, by, signal, first) {
      await intake.prepare([staged], signal)
      signal.throwIfAborted()
      return settle(() =>
        db.transact(async (trx) => {
          await first?.(trx)
          return commit(trx, repository, file, staged, by, signal)
        }),
      )
    },
  }
}

/** What can be refused without looking anything up. @throws AppError METHOD_NOT_ALLOWED, METADATA_INVALID. */
export function checkUpload(repository: Repository, { metadata }: Pick<FileUpload, 'metadata'>): void {
  requireUploads(repository)
  refuseSystemKeys(metadata.map(({ key }) => key))
  checkMetadata(metadata)
}

/** @throws AppError when the path is taken by what the upload may not replace. `rows`: what is at it and above it. */
export function checkPlace(
  { path, overwrite }: Pick<FileUpload, 'path' | 'overwrite'>,
  rows: ReadonlyMap<NodePath, TakenPlace>,
  now: number,
): void {
  const row = rows.get(path)
  if (path === ROOT || row?.folder) throw folderInTheWay(path)
  const blocking = ancestorsOf(path).find((ancestor) => {
    const above = rows.get(ancestor)
    return above !== undefined && !above.folder && !isExpired(above, now)
  })
  if (blocking !== undefined) throw fileInTheWay(blocking)
  if (row !== undefined && !isExpired(row, now) && overwrite === 'refuse') throw nodeExisted(path)
}

interface WriteContext {
  readonly hlc: HlcClock
  readonly now: number
  /** What the file replaces. */
  readonly previous: NodeRecord | undefined
}
/** What a local user's upload writes. */
export function fileWriteOf(
  { path, metadata, expiresDays }: FileUpload,
  { digest, sizeBytes, md5, crc64 }: Pick<StagedBlob, 'digest' | 'sizeBytes' | 'md5' | 'crc64'>,
  by: string,
  { hlc, now, previous }: WriteContext,
): FileWrite {
  return {
    ...{ path, digest, sizeBytes, md5, crc64, metadata },
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
}

/** Which hashes have to be computed to check what the sender says. */
export const hashesFor = ({ md5, crc64 }: AnnouncedDigests): HashOptions => ({
  withMd5: md5 === undefined ? undefined : true,
  withCrc64: crc64 === undefined ? undefined : true,
})

/** @throws AppError DIGEST_MISMATCH naming the first that differs. */
export function verifyDigests(
  announced: AnnouncedDigests,
  computed: Pick<StagedBlob, 'digest' | 'md5' | 'crc64'>,
): void {
  const compare = (name: string, given: string | undefined, found: string | undefined) => {
    if (given === undefined || given === found) return
    const message = `Digest mismatch: ${name}, the header says ${given}, the content is ${found}`
    throw new AppError('DIGEST_MISMATCH', message, { name })
  }
  compare('sha256', announced.digest, computed.digest)
  compare('md5', announced.md5, computed.md5)
  compare('crc64ecma', announced.crc64, computed.crc64)
}
