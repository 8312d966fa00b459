import type { Platform } from '../../core/platform.ts'
import type {
  ConflictStrategy,
  DeleteGuard,
  ErrorStrategy,
  PackageConstraint,
  PathConstraint,
} from '../../tasks/task.ts'

/** What one run does, as its record keeps it: later changes of the task do not reach into it. */
export interface RunSpec {
  readonly recordId: string
  readonly taskKey: string
  /** Names the run towards the target: 48 bits of the hash of its record's id, so that no other run ever has the same. */
  readonly run: number
  readonly conflictStrategy: ConflictStrategy
  readonly errorStrategy: ErrorStrategy
  readonly includeMetadata: boolean
  /** What ended here ends at the target. */
  readonly propagateDelete: boolean
  readonly deleteGuard: DeleteGuard
  /** Bytes of contents per second, of all its streams together; 0: no limit. */
  readonly rateLimit: number
  /** The target is asked again for what it wrote, and looks at its storage. */
  readonly checksStorage: boolean
  /** Missing project and repository are made at the target. */
  readonly createsRepositories: boolean
  /** Of images: those that go along. Undefined: all. */
  readonly platforms?: readonly Platform[] | undefined
  /** False: only failed artifacts get a detail row, at most 1,000. */
  readonly keepsDetails: boolean
  /** Users, roles and permissions go along: of the repositories and their projects, or of the whole server. */
  readonly includesPermissions?: 'repositories' | 'server' | undefined
  /** What it names comes from its target to us, and is of this user then. */
  readonly imports?: { readonly by: string } | undefined
  readonly objects: readonly RunObject[]
  readonly targets: readonly RunTarget[]
  /** Of a REAL_TIME task: its links follow what changes, and the record stays open. */
  readonly follows?: { /** What exists is brought over first. */ readonly backfill: boolean } | undefined
  /** By link key, of a run that only tries again what failed: the paths; null: the link as a whole. */
  readonly retry?: ReadonlyMap<string, readonly string[] | null> | undefined
}
/** Objects of a task that go from the same repository to the same repository are one here. */
export interface RunObject {
  readonly localProject: string
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly repoType: string
  /** Undefined: not limited to paths. */
  readonly paths: readonly PathConstraint[] | undefined
  /** Undefined: not limited to packages. With neither it is the whole repository, with both what either selects. */
  readonly packages?: readonly PackageConstraint[] | undefined
}
export interface RunTarget {
  readonly id: string
  readonly name: string
}

/** Contract 002, `executeType` of the details. */
export const executeTypeOf = (object: RunObject): 'FULL' | 'PARTIAL' =>
  object.paths === undefined && object.packages === undefined ? 'FULL' : 'PARTIAL'
