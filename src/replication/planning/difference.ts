import type { PathRange } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { Divergence } from '../../metadata/replication/divergences.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { PathFilter, SelectionWatch } from '../../tasks/constraints/path-selection.ts'
import type { PlatformShares } from '../images/platform-shares.ts'
import type { Fingerprints } from '../recon/fingerprints.ts'
import type { DeletionSize } from './delete-guard.ts'
import type { PackageScope } from './package-scope.ts'

/** Where a link's files are, and since when the link knows them. */
export interface LinkScope {
  readonly repository: { readonly id: number; readonly epoch: string; readonly floorSeq: number }
  /** Hold all files of the scope. */
  readonly ranges: readonly PathRange[]
  /** Which files of the ranges are meant, when not all are. */
  readonly filter?: PathFilter | undefined
  /** Given where the repository has packages: a version is one artifact, with all its files. */
  readonly packages?: SelectedPackages | undefined
  /** To learn which of the task's patterns select nothing. */
  readonly watch?: (() => SelectionWatch) | undefined
  readonly scopeHash: string
}

/** Which versions of the ranges are meant. */
export interface SelectedPackages extends Pick<PackageScope, 'filter' | 'referrers'> {
  /** Of images: what of them is. Undefined: all. */
  readonly shares?: PlatformShares | undefined
}

export interface PlannedFile {
  readonly path: string
  readonly sizeBytes: number
  readonly expect: Precondition
  /** It ended here, and is to end there (`PlannedPath`). */
  readonly ifGone?: 'delete' | undefined
}

/** What has to be looked at so that the target equals the scope, and what is known without a look. */
export interface Difference {
  readonly plan: LinkPlan
  /** The target has nothing in these: all that the source has there is to be sent. */
  readonly ranges: readonly PathRange[]
  /** Ascending by path bytes. */
  readonly paths: readonly PlannedFile[]
  /** Files that ended here, and that the target may still have. Ascending by path bytes. */
  readonly deletions: readonly PlannedFile[]
  /** What the guard is asked about. */
  readonly deletes: DeletionSize
  /** Known to differ, and to be left as they are. */
  readonly kept: readonly PlannedFile[]
  /** Of `ranges`, `paths`, `deletions` and `kept` together. */
  readonly files: number
  /** Files of the scope that are proven to be equal. */
  readonly unchanged: number
  /** Patterns and expressions of the task that no file fits. */
  readonly silent: readonly string[]
  /** What the ledger holds afterwards of the paths in `looked`. */
  readonly ledger: { readonly looked: readonly string[]; readonly found: readonly Divergence[] }
}

export interface DifferenceDeps {
  readonly db: MetadataDatabase
  /** Of the source's repository. */
  readonly fingerprints: Fingerprints
  /** One round of reconciliation at the target. */
  ask(message: Buffer, signal: AbortSignal): Promise<Buffer>
  readonly now: number
  /** `peer_link.id` of the links that bring the target's repository here: what came by them came from there. */
  readonly echoes: ReadonlySet<number>
  /** Default 200,000. More scattered differences than this are not named one by one: the target is offered the whole scope. */
  readonly mostNamed?: number
}

/** Paths, and the files that each gained or lost since the cursor: 1, 0 or -1. */
export type Changes = ReadonlyMap<string, number>
export const NO_CHANGES: Changes = new Map()
