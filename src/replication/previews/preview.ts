import { parsePackagePath } from '../../core/package-key.ts'
import type { ShardCounters } from '../../metadata/replication/exec-shards.ts'

/** What a plan says of an artifact. */
export const PLAN_CLASSES = ['SEND', 'SKIP', 'KEEP', 'FAIL', 'DELETE'] as const
export type PlanClass = (typeof PLAN_CLASSES)[number]

/**
 * How the target differs, and what of it is known and left so: KEPT by SKIP, FAILED so far. DAMAGED: stored bytes of either side are not
 * what their digest says, or are gone; only who has contents read learns of it.
 */
export const DIFFERENCE_CLASSES = ['MISSING', 'CONTENT', 'METADATA', 'EXTRA', 'KEPT', 'FAILED', 'DAMAGED'] as const
export type DifferenceClass = (typeof DIFFERENCE_CLASSES)[number]
export type PreviewClass = PlanClass | DifferenceClass

/** From where to where. */
export interface PreviewedLink {
  readonly clusterId: string
  readonly clusterName: string
  readonly localProject: string
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  /** Why nothing, or not all, could be found out; null: all is known. */
  readonly errorReason: string | null
}

/** Of one link: what a run would do now. Artifacts that are equal are counted under SKIP and have no item. */
export interface LinkPreview extends PreviewedLink {
  /** These would be made at the target first. */
  readonly creates: 'nothing' | 'repository' | 'project and repository'
  readonly counts: Readonly<Record<PlanClass, number>>
  /** As the record of a run would count; `bytes` are those of contents that the target lacks. */
  readonly counters: ShardCounters
  /** FAST_FAIL: a run stops at the first failure, and what comes after it is not counted here either. */
  readonly stopped: boolean
}

/** Of one link: how the target differs now. */
export interface LinkProof extends PreviewedLink {
  /** Nothing differs, not even what is accepted. False when that could not be found out. */
  readonly equal: boolean
  /** Nothing differs but what is accepted. */
  readonly expected: boolean
  readonly counts: Readonly<Record<DifferenceClass, number>>
  /** Selected files here. */
  readonly files: number
}

export interface PreviewItem {
  readonly class: PreviewClass
  readonly path: string
  readonly sizeBytes: number | null
  /** Another content is there, or was. */
  readonly conflict: boolean
  readonly reason: string | null
}

export const noCounts = <C extends string>(classes: readonly C[]): Record<C, number> =>
  Object.fromEntries(classes.map((one) => [one, 0])) as Record<C, number>

/** A version is shown as `npm://left-pad@1.0.0`. */
export function shownPath(path: string): string {
  const found = parsePackagePath(path)
  if (found === undefined) return path
  return found.version === undefined ? found.key : `${found.key}@${found.version}`
}
