import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import type { PackageDeletion } from '../../artifacts/packages/package-deletion.ts'
import type { RulesOf } from '../../artifacts/packages/package-rules.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { Ids } from '../../core/ids.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { OutgoingRules } from '../../remotes/outgoing-url.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { CommonFile, SecretCarrier } from '../common/common-file.ts'
import type { Pace } from '../contents/pace.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { SpaceGuard, SpaceGuards } from '../places/space.ts'
import type { RecordDecoder } from '../records/decode-records.ts'
import type { ParseTime } from '../records/record-fields.ts'
import type { RestoreNotes } from './restore-notes.ts'

export interface RestoreDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly ids: Ids
  readonly layouts: Pick<Layouts, 'openReader'>
  /** In the order in which they are restored. */
  readonly commonFiles: readonly CommonFile[]
  readonly secrets: Pick<SecretCarrier, 'unpack'>
  /** Types that have a format. */
  readonly builtTypes: readonly string[]
  readonly rulesOf: RulesOf
  /** Of proxies. */
  readonly outgoing: OutgoingRules
  readonly repositories: Pick<Repositories, 'delete'>
  readonly deletion: Pick<PackageDeletion, 'deleteVersion' | 'deletePackage'>
  readonly spaceGuards: SpaceGuards
  /** @param bytesPerSecond null: no limit. */
  paceOf(bytesPerSecond: number | null): Pace
  /** Where contents are stored, for its filesystem's room; undefined: on no filesystem. */
  readonly contentsPath: string | undefined
  /** In the server's zone. */
  readonly parseTime: ParseTime
}

/** What all steps of one restore work with. */
export interface RestoreContext {
  readonly deps: RestoreDeps
  readonly run: RestoreNotes
  readonly reader: BackupReader
  readonly decoder: RecordDecoder
  readonly space: SpaceGuard
  /** Of contents that are read. */
  readonly pace: Pace
}
