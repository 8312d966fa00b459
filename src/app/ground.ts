import type { Clock } from '../core/clock.ts'
import type { Ids, Random } from '../core/ids.ts'
import type { Format } from '../formats/format.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { BlockSpool } from '../storage/block-spool.ts'
import type { PushSpool } from '../storage/push-spool.ts'
import type { UploadSpool } from '../storage/upload-spool.ts'
import type { BackupPassphrase } from './backup-passphrase.ts'
import type { Config } from './config.ts'

/** What the outside gives: opened stores, time, chance, a place for errors that nobody waits for. */
export interface Ground {
  readonly config: Config
  readonly db: MetadataDatabase
  readonly queue: JobQueue
  readonly store: BlobStore
  readonly spool: UploadSpool
  readonly blocks: BlockSpool
  readonly pushes: PushSpool
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  /** `FORMATS`; tests bring more. */
  readonly formats: readonly Format[]
  /** 32 bytes. */
  readonly secretKey: Buffer
  /** Undefined: backups are not encrypted. */
  readonly backupPassphrase: BackupPassphrase | undefined
  /** Identity of this cluster towards others. */
  readonly clusterId: string
  /** Of this program. */
  readonly version: string
  /** Of this process: `installationId:bootId`. */
  readonly owner: string
  warn(message: string, about: Readonly<Record<string, unknown>>): void
  note(message: string, about: object): void
}
