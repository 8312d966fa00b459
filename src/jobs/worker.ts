import type { Clock } from '../core/clock.ts'
import { whileLeased } from './held-lease.ts'
import type { ClaimedJob, JobQueue } from './job-queue.ts'
import { createWakeUp } from './wake-up.ts'

/**
 * Does one job. Returns when nothing is left to do, or with the time to be called again (`retryAt`, UTC epoch ms); a throw is tried
 * again after growing pauses. The signal aborts when the lease is lost (FENCED) or the process stops (AbortError). A handler must
 * be safe to run twice.
 */
export type JobHandler = (job: ClaimedJob, signal: AbortSignal) => Promise<{ readonly retryAt: number } | undefined>

export interface WorkerDeps {
  readonly queue: JobQueue
  readonly handlers: ReadonlyMap<string, JobHandler>
  /** `installationId:bootId`. */
  readonly owner: string
  readonly clock: Clock
  /** Jobs at the same time. */
  readonly concurrency: number
  readonly leaseMs: number
  /** Hears of failed handlers, and of a queue that cannot be reached (`job` undefined); both are tried again. */
  readonly onError: (error: unknown, job: ClaimedJob | undefined) => void
}

export interface Worker {
  start(): void
  /** Says that a job was enqueued, so that it starts at once; to be called after the transaction has committed. */
  notify(): void
  /** Takes no new job, waits up to `drainMs` for those that run, then aborts them; their leases are given back. */
  stop(drainMs: number): Promise<void>
}

/** Jobs that another process enqueued are noticed within this time. */
const POLL_MS = 500
/** Somebody else claimed the due job first: look again soon, not at once. */
const LEAST_PAUSE_MS = 20
const FIRST_BACKOFF_MS = 1_000
const LAST_BACKOFF_MS = 60_000

/** Runs the due jobs that it has handlers for. Any number of workers, in any number of processes, share one queue. */
export function createWorker({ queue, handlers, owner, clock, concurrency, leaseMs, onError }: WorkerDeps): Worker {
  const kinds = [...handlers.keys()]
  const running = new Map<Promise<void>, AbortController>()
  const wakeUp = createWakeUp(clock)
  let stopping = false
  let loop = Promise.resolve()

  async function work(): Promise<void> {
    while (!stopping) {
      let pauseMs = POLL_MS
      try {
        pauseMs = await fillUp()
      } catch (error) {
        onError(error, undefined)
      }
      if (!stopping) await wakeUp.wait(pauseMs)
    }
  }

  /** Claims until nothing is due or no place is free. @returns how long nothing will be due, as far as is known. */
  async function fillUp(): Promise<number> {
    while (running.size < concurrency && !stopping) {
      const job = await queue.claim(owner, kinds, leaseMs)
      if (job === undefined) {
        const next = (await queue.nextDue(kinds)) ?? Number.POSITIVE_INFINITY
        return Math.min(Math.max(next - clock.now(), LEAST_PAUSE_MS), POLL_MS)
      }
      begin(job)
    }
    return POLL_MS
  }

  function begin(job: ClaimedJob): void {
    const end = new AbortController()
    const run = runJob(job, end).finally(() => {
      running.delete(run)
      wakeUp.ring()
    })
    running.set(run, end)
  }

  async function runJob(job: ClaimedJob, end: AbortController): Promise<void> {
    const tell = (error: unknown) => onError(error, job)
    const lease = { queue, job, owner, clock, leaseMs, onError: tell }
    try {
      const outcome = await whileLeased(lease, end, async () => handlers.get(job.kind)!(job, end.signal))
      if (outcome === undefined) await queue.finish(job, owner)
      else await queue.postpone(job, owner, outcome.retryAt)
    } catch (error) {
      await putBack(job, end.signal, error).catch(tell)
    }
  }

  async function putBack(job: ClaimedJob, ended: AbortSignal, error: unknown): Promise<void> {
    if (stopping && ended.aborted) {
      await queue.postpone(job, owner, clock.now())
      return
    }
    onError(error, job)
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** (job.attempts - 1), LAST_BACKOFF_MS)
    await queue.retryAt(job, owner, clock.now() + backoffMs)
  }

  return {
    start() {
      loop = work()
    },
    notify: wakeUp.ring,
    async stop(drainMs) {
      stopping = true
      wakeUp.ring()
      await loop
      const all = Promise.all(running.keys())
      const drained = new AbortController()
      await Promise.race([all, clock.sleep(drainMs, drained.signal).catch(() => {})])
      drained.abort()
      for (const end of running.values()) end.abort(new DOMException('The server is stopping', 'AbortError'))
      await all
    },
  }
}
