import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { ClaimedJob, JobQueue } from './job-queue.ts'

export interface HeldLease {
  readonly queue: JobQueue
  readonly job: ClaimedJob
  readonly owner: string
  readonly clock: Clock
  readonly leaseMs: number
  readonly onError: (error: unknown) => void
}

/** Renewed three times before it would end: two heartbeats may get lost. */
const BEATS_PER_LEASE = 3

/**
 * Runs `work` and renews the lease all the while. `end` is aborted with FENCED when the lease is somebody else's, or when it
 * could not be renewed before it ended; the work must then write nothing more.
 */
export async function whileLeased<T>(lease: HeldLease, end: AbortController, work: () => Promise<T>): Promise<T> {
  const done = new AbortController()
  const beating = beat(lease, end, done.signal)
  try {
    return await work()
  } finally {
    done.abort()
    await beating
  }
}

async function beat(lease: HeldLease, end: AbortController, done: AbortSignal): Promise<void> {
  const { queue, job, owner, clock, leaseMs, onError } = lease
  let endsAt = clock.now() + leaseMs
  while (!done.aborted) {
    await clock.sleep(leaseMs / BEATS_PER_LEASE, done).catch(() => {})
    if (done.aborted) return
    const sentAt = clock.now()
    try {
      if (!(await queue.heartbeat(job, owner, leaseMs))) return end.abort(leaseLost(job))
      endsAt = sentAt + leaseMs
    } catch (error) {
      onError(error)
      if (clock.now() >= endsAt) return end.abort(leaseLost(job))
    }
  }
}

const leaseLost = ({ kind, id }: ClaimedJob) =>
  new AppError('FENCED', `The lease of job ${kind} ${id} is lost: another worker has it or may take it`, {})
