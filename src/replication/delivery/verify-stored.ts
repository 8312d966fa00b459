import type { Clock } from '../../core/clock.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { Outcome } from './outcome.ts'
import { filesOf, nameOf } from './work-item.ts'

interface VerifyDeps {
  readonly client: Pick<ClusterClient, 'missing'>
  readonly clock: Clock
  /** How long the target may take until it has the bytes where they stay. */
  readonly timeoutMs: number
}

const POLL_MS = 1_000
const DIGESTS_PER_CALL = 10_000

/**
 * `storageConsistencyCheck` (replication.md 3.7): asks the target again for the bytes of what it wrote, and looks at its storage, until it
 * has all of them. What it does not have in time FAILED. @throws LinkDown, NotOurProtocol, RemoteRefusal.
 */
export async function verifyStored(
  outcomes: readonly Outcome[],
  { client, clock, timeoutMs }: VerifyDeps,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const written = outcomes.filter(({ result }) => result === 'written')
  let wanted = new Set(written.flatMap(({ item }) => filesOf(item).map(({ digest }) => digest)))
  const endsAt = clock.now() + timeoutMs
  for (;;) {
    const digests = [...wanted]
    wanted = new Set()
    for (let at = 0; at < digests.length; at += DIGESTS_PER_CALL) {
      const lacking = await client.missing(digests.slice(at, at + DIGESTS_PER_CALL), signal, 'in storage')
      for (const digest of lacking) wanted.add(digest)
    }
    if (wanted.size === 0) return [...outcomes]
    if (clock.now() >= endsAt) break
    await clock.sleep(Math.min(POLL_MS, endsAt - clock.now()), signal)
  }
  const afterS = Math.round(timeoutMs / 1000)
  return outcomes.map((outcome): Outcome => {
    const isLacking = outcome.result === 'written' && filesOf(outcome.item).some(({ digest }) => wanted.has(digest))
    if (!isLacking) return outcome
    const reason = `${nameOf(outcome.item)} was written, but its content is not in the target's storage after ${afterS} s: look at the storage there; the content is sent again`
    return { ...outcome, result: 'failed', conflict: false, reason, endedAt: clock.now() }
  })
}
