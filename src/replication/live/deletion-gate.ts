import type { Clock } from '../../core/clock.ts'
import { GUARD_HORIZON_MS, type WindowGuard } from '../planning/window-guard.ts'
import { createRecentDeletions } from './recent-deletions.ts'

/** What a link has to pass before changes are sent: the guard of deletions, asked once about each window of them. */
export interface DeletionGate {
  /** Lets through what changed up to this number. @throws AppError TASK_FAILED: nothing of it may be sent. */
  pass(head: number): Promise<void>
}

/** @param from everything up to this number has passed. */
export async function createDeletionGate(
  guard: WindowGuard,
  clock: Pick<Clock, 'now'>,
  from: number,
): Promise<DeletionGate> {
  const recent = createRecentDeletions(clock, GUARD_HORIZON_MS)
  recent.add(await guard.before(from))
  let passed = from
  return {
    async pass(head) {
      if (head <= passed) return
      recent.add(await guard.let({ from: passed, to: head }, recent.count()))
      passed = head
    },
  }
}
