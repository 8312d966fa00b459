import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { claimShard, leaveShard, openShards, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { notePushed } from '../../metadata/replication/pushed-versions.ts'
import type { LogPosition } from '../../remotes/cluster/messages.ts'
import { checkpoint } from '../delivery/checkpoint.ts'
import type { AnyOutcome } from '../delivery/outcome.ts'
import { keepShard } from '../delivery/shard-lease.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { LeaseLost, LinkStopped } from '../runs/stop-reasons.ts'
import { asLinkDown } from './link-down.ts'

/** What a run between us and a registry of somebody else needs, in either direction. */
export interface VersionRunDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly leaseMs: number
  /** All is there: closes the link, and with the last one the record. */
  done(work: LinkWork, remote: LogPosition): Promise<void>
  onOutcomes(outcomes: readonly AnyOutcome[], bytes: number): void
}

/** What became of one version. */
export interface SettledVersion {
  readonly outcome: AnyOutcome
  /** Of contents, since the version before. */
  readonly bytes: number
  /** What is there since, under which names. */
  readonly there: Parameters<typeof notePushed>[2]
}
export type SettleVersion = (version: SettledVersion) => Promise<void>

/** A registry has no log that could be asked. */
export const NO_LOG: LogPosition = { epoch: '', seq: 0, mark: '' }

/**
 * Works through the one shard of a planned link, when nobody else does, and closes the link after it. `each` settles versions one by one:
 * each counts in one transaction with the note that it is there.
 * @param underWay bytes that do not count yet, for who watches.
 * @returns `later` when somebody else works on it. @throws LinkDown, LeaseLost, LinkStopped, AppError.
 */
export async function workVersions(
  deps: VersionRunDeps,
  work: LinkWork,
  underWay: () => number,
  each: (settle: SettleVersion, signal: AbortSignal) => Promise<void>,
  onStored: () => void,
  signal: AbortSignal,
): Promise<'ended' | 'later'> {
  const { db, clock, owner, leaseMs } = deps
  const { recordId } = work.spec
  const linkId = work.link.id
  const lease = { owner, now: clock.now(), leaseMs }
  const claim = await db.transact((trx) => claimShard(trx, recordId, linkId, lease))
  if (claim !== undefined) {
    await holding(deps, claim, underWay, (all) => each(settling(deps, work, claim, onStored), all), signal)
  }
  if ((await openShards(db.read, recordId, linkId)) > 0) return 'later'
  await deps.done(work, NO_LOG)
  return 'ended'
}

/** The shard is DONE when `run` ends, and for whoever comes next when it breaks off. */
async function holding(
  { db, clock, leaseMs }: VersionRunDeps,
  claim: ShardClaim,
  underWay: () => number,
  run: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const lease = keepShard(db, clock, claim, leaseMs, underWay)
  try {
    await run(AbortSignal.any([signal, lease.lost]))
  } catch (error) {
    await lease.stop()
    await db.transact((trx) => leaveShard(trx, claim, 'READY'))
    if (lease.lost.aborted) throw new LeaseLost()
    throw asLinkDown(error)
  }
  await lease.stop()
  if (!(await db.transact((trx) => leaveShard(trx, claim, 'DONE')))) throw new LeaseLost()
}

function settling(
  { db, clock, leaseMs, onOutcomes }: VersionRunDeps,
  { spec, object, link }: LinkWork,
  claim: ShardClaim,
  onStored: () => void,
): SettleVersion {
  return async ({ outcome, bytes, there }) => {
    const also = (trx: Parameters<typeof notePushed>[0]) => notePushed(trx, link.id, there, clock.now())
    const batch = { outcomes: [outcome], pos: outcome.item.path, sentBytes: bytes, also }
    await checkpoint({ db, clock, leaseMs }, { spec, object, linkId: link.id }, claim, batch)
    onOutcomes([outcome], bytes)
    if (outcome.result === 'written') onStored()
    if (outcome.result === 'failed' && spec.errorStrategy === 'FAST_FAIL')
      throw new LinkStopped(outcome.reason ?? 'failed')
  }
}
