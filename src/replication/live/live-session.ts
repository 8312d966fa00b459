import type { LiveClaim } from '../../metadata/replication/live-links.ts'
import type { ShardContext } from '../delivery/shard-worker.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import type { WindowGuard } from '../planning/window-guard.ts'

/** A link whose target is open. */
export interface LiveSession {
  readonly claim: LiveClaim
  readonly work: LinkWork
  readonly context: ShardContext
  /** Identity of the target: what was written there is not sent back. */
  readonly targetId: string
  /** The target has everything up to this number of our change log, but what the ledger lists. */
  readonly ackedSeq: number
  /** Asked before anything of a window is sent. */
  readonly guard: WindowGuard
  /** Asks the target whether it is as this link left it; called when nothing is under way. */
  verify(signal: AbortSignal): Promise<'pure' | 'compare'>
}
