import type { NodePath } from '../../core/paths.ts'
import type { ConflictStrategy, ErrorStrategy } from '../../tasks/task.ts'

/** What one run does, as its record keeps it: later changes of the task do not reach into it. */
export interface RunSpec {
  readonly recordId: string
  readonly taskKey: string
  /** Names the run towards the target: 48 bits of the hash of its record's id, so that no other run ever has the same. */
  readonly run: number
  readonly project: string
  readonly conflictStrategy: ConflictStrategy
  readonly errorStrategy: ErrorStrategy
  readonly includeMetadata: boolean
  /** Bytes of contents per second, of all its streams together; 0: no limit. */
  readonly rateLimit: number
  /** Missing project and repository are made at the target. */
  readonly createsRepositories: boolean
  /** False: only failed artifacts get a detail row, at most 1,000. */
  readonly keepsDetails: boolean
  readonly objects: readonly RunObject[]
  readonly targets: readonly RunTarget[]
}
/** Objects of a task that go from the same repository to the same repository are one here. */
export interface RunObject {
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly repoType: string
  /** Undefined: the whole repository. */
  readonly paths: readonly NodePath[] | undefined
}
export interface RunTarget {
  readonly id: string
  readonly name: string
}

/** Contract 002, `executeType` of the details. */
export const executeTypeOf = (object: RunObject): 'FULL' | 'PARTIAL' =>
  object.paths === undefined ? 'FULL' : 'PARTIAL'
