import type { Clock } from '../../core/clock.ts'
import { createWakeUp } from '../../jobs/wake-up.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import {
  claimLiveLinks,
  freeLiveLinks,
  type LiveClaim,
  listOwnTokens,
  nextLiveAttempt,
  renewLiveLinks,
} from '../../metadata/replication/live-links.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'

export interface LiveSupervisor {
  /** Something was switched on, off or changed. */
  ring(): void
  /** Follows all links that nobody else follows, until the signal; then gives them back. */
  run(signal: AbortSignal): Promise<void>
}

export interface LiveSupervisorDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly leaseMs: number
  runLink(claim: LiveClaim, signal: AbortSignal): Promise<void>
  onError(error: unknown): void
}

/** Links that another process switched on, off or gave back are noticed within this time. */
const LOOK_MS = 500
const LEAST_PAUSE_MS = 5
const CLAIMS_AT_ONCE = 100
/** Two renewals may get lost. */
const RENEWALS_PER_LEASE = 3

interface Followed {
  readonly claim: LiveClaim
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/** One in each process: the links take no places of the job worker, so that hundreds of them may be live. */
export function createLiveSupervisor(deps: LiveSupervisorDeps): LiveSupervisor {
  const { db, clock, owner, leaseMs } = deps
  const wakeUp = createWakeUp(clock)
  const followed = new Map<number, Followed>()
  let renewedAt = 0

  function begin(claim: LiveClaim, signal: AbortSignal): void {
    // An earlier follower of the same link is on its way out, and can write nothing more.
    followed.get(claim.linkId)?.stop.abort(new LeaseLost())
    const stop = new AbortController()
    const ended = deps.runLink(claim, AbortSignal.any([signal, stop.signal])).finally(() => {
      if (followed.get(claim.linkId)?.claim === claim) followed.delete(claim.linkId)
      wakeUp.ring()
    })
    followed.set(claim.linkId, { claim, stop, ended })
  }

  async function claimAll(signal: AbortSignal): Promise<void> {
    for (;;) {
      const now = clock.now()
      const next = await nextLiveAttempt(db.read, now)
      if (next === undefined || next > now) return
      const lease = { owner, now, leaseMs, limit: CLAIMS_AT_ONCE }
      const claims = await db.transact((trx) => claimLiveLinks(trx, lease))
      for (const claim of claims) begin(claim, signal)
      if (claims.length < CLAIMS_AT_ONCE) return
    }
  }

  /** Ends those whose link is paused, or somebody else's, and gives back what nobody here follows. */
  async function dropLost(): Promise<void> {
    const now = clock.now()
    const isDue = now - renewedAt >= leaseMs / RENEWALS_PER_LEASE
    const tokens = isDue
      ? await db.transact((trx) => renewLiveLinks(trx, owner, now + leaseMs))
      : await listOwnTokens(db.read, owner)
    if (isDue) renewedAt = now
    for (const { claim, stop } of followed.values()) {
      if (tokens.get(claim.linkId) !== claim.token) stop.abort(new LeaseLost())
    }
    const strays = [...tokens].flatMap(([linkId, token]) =>
      followed.get(linkId)?.claim.token === token ? [] : [{ linkId, token }],
    )
    if (strays.length > 0) await db.transact((trx) => freeLiveLinks(trx, strays))
  }

  async function pauseMs(): Promise<number> {
    const next = await nextLiveAttempt(db.read, clock.now())
    return next === undefined ? LOOK_MS : Math.min(LOOK_MS, Math.max(LEAST_PAUSE_MS, next - clock.now()))
  }

  return {
    ring: wakeUp.ring,
    async run(signal) {
      const stop = () => wakeUp.ring()
      signal.addEventListener('abort', stop, { once: true })
      while (!signal.aborted) {
        let delayMs = LOOK_MS
        try {
          await dropLost()
          await claimAll(signal)
          delayMs = await pauseMs()
        } catch (error) {
          deps.onError(error)
        }
        if (!signal.aborted) await wakeUp.wait(delayMs)
      }
      await Promise.all([...followed.values()].map(({ ended }) => ended))
    },
  }
}
