import type { LiveState } from '../../metadata/tables/live-links.ts'

/** What is known of a link before its target is asked. */
export interface LinkFacts {
  readonly state: LiveState
  /** In the open record, what exists was compared, or did not have to be. */
  readonly compared: boolean
  /** `holds`: our log tells all that changed since. `void`: it does not, or the scope is another. */
  readonly cursor: 'none' | 'holds' | 'void'
  /** The task brings over what exists. */
  readonly backfill: boolean
}

/** `follow-from-activation`: what was there before is none of the task's business. */
export function firstStep({
  state,
  compared,
  cursor,
  backfill,
}: LinkFacts): 'compare' | 'follow' | 'follow-from-activation' {
  if (cursor === 'none' && !backfill) return 'follow-from-activation'
  // What changed since is not told by the log any more: only a comparison finds it, whatever else it finds.
  if (cursor !== 'holds') return 'compare'
  return !backfill || compared || state === 'NEW' ? 'follow' : 'compare'
}

/** What the target said of itself. */
export interface TargetFacts {
  /** The repository is the one that the cursor speaks of. */
  readonly isSame: boolean
  /** Nobody but this link changed the scope there. */
  readonly isPure: boolean
  readonly backfill: boolean
}

export const stepAfterOpen = ({ isSame, isPure, backfill }: TargetFacts): 'compare' | 'follow' =>
  backfill && !(isSame && isPure) ? 'compare' : 'follow'
