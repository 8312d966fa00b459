import type { Transaction } from '../metadata/database.ts'

/** A wake-up: says that there may be work, never what is true. The truth of a run is in its own tables. */
export interface JobRequest {
  /** Which handler gets it, e.g. `run-record`. */
  readonly kind: string
  /** At most one job of a kind and dedupe key waits at a time; a second request moves it earlier, never later. */
  readonly dedupeKey: string
  readonly payload: Readonly<Record<string, string>>
  /** UTC epoch milliseconds; now when missing. */
  readonly runAt?: number
}

export interface ClaimedJob {
  readonly id: string
  readonly kind: string
  readonly payload: Readonly<Record<string, string>>
  /** Counts claims; every write of the claim names it, so that a stale owner's write touches nothing. */
  readonly epoch: number
  /** Claims since it was last done; 1 on the first. */
  readonly attempts: number
}

/**
 * Adapters promise: a job is handed to one owner at a time; when its lease ends unrenewed it is handed out again with a higher
 * epoch; a request made in a transaction that rolls back never was. A job requested while an equal one *runs* is kept and runs
 * after it, so no wake-up is lost. Checked by `job-queue.contract.ts`.
 */
export interface JobQueue {
  /** Inside the caller's metadata transaction. */
  enqueue(job: JobRequest, trx: Transaction): Promise<void>
  /** The due job that waits longest, or undefined. `kinds` are those the caller can handle. */
  claim(owner: string, kinds: readonly string[], leaseMs: number): Promise<ClaimedJob | undefined>
  /** False: the job belongs to somebody else by now, stop working on it. */
  heartbeat(job: ClaimedJob, owner: string, leaseMs: number): Promise<boolean>
  /** Done: the job goes away. False as above. */
  finish(job: ClaimedJob, owner: string): Promise<boolean>
  /** Failed: hand it out again at `runAt` (UTC epoch ms), or earlier when it is requested. False as above. */
  retryAt(job: ClaimedJob, owner: string, runAt: number): Promise<boolean>
  /** Done for now: hand it out again at `runAt` as if it were new, or earlier when it is requested. False as above. */
  postpone(job: ClaimedJob, owner: string, runAt: number): Promise<boolean>
  /** Gives up at once all leases of earlier lives of an installation (`installationId:` prefix of the owner), but not those of `self`. */
  releaseInstallation(installationId: string, self: string): Promise<number>
  /** When the next job becomes due, epoch ms. */
  nextDue(kinds: readonly string[]): Promise<number | undefined>
  /** Jobs that are due and wait, for metrics. */
  depth(): Promise<number>
}
