import type { Clock } from '../../core/clock.ts'
import { AppError, type ErrorCode, hasCode } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { Ids } from '../../core/ids.ts'
import { ROOT } from '../../core/paths.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import {
  deleteEndedTreeOperations,
  failTreeOperation,
  findTreeOperation,
  insertTreeOperation,
  listTreeOperations,
  NO_TOTALS,
  saveTreeProgress,
  type TreeOperation,
  type TreeRequest,
  type TreeTotals,
  takeTreeOperation,
} from '../../metadata/nodes/tree-operations.ts'
import { newestNodeId } from '../../metadata/nodes/tree-rows.ts'
import { changedMeanwhile } from '../nodes/node-writer.ts'
import { settle } from '../nodes/settle.ts'
import { inSlices } from './in-slices.ts'
import { createSliceSize } from './slice-size.ts'
import { nextStep } from './tree-step.ts'
import { addTotals } from './tree-work.ts'

/** What an operation did, and when it was asked for (UTC epoch ms). */
export interface TreeOutcome extends TreeTotals {
  readonly at: number
}

/** Operations on trees of any size (docs/design/trees.md). */
export interface TreeOperations {
  /**
   * A tree of one slice is done at once, in one transaction with `plan`. A larger one is written down, worked through by a job in
   * slices, and waited for; it goes on when the caller stops waiting. `plan` undefined: there is nothing to do.
   * @throws AppError what `plan` and the slices throw; what was done before stays done.
   */
  run<P extends { readonly request: TreeRequest }>(
    plan: (trx: Transaction, now: number) => Promise<P | undefined>,
    by: string,
    signal: AbortSignal,
  ): Promise<{ readonly plan: P; readonly outcome: TreeOutcome } | undefined>
  /** Of one repository, the newest first: those that run, and those that ended within the last day. */
  list(repoId: number): Promise<TreeOperation[]>
  /** Forgets those that ended more than a day ago. */
  sweep(): Promise<void>
  /** To be given to a worker. */
  readonly handlers: ReadonlyMap<string, JobHandler>
}

interface TreeOperationDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly ids: Ids
  readonly queue: JobQueue
  /** Rows of the first slice, for tests; then the time it took decides. */
  readonly firstRows?: number
}

const JOB = 'tree-operation'
/** Another process may work on it, or the one that did was killed: its end is looked for, beside being told. */
const LOOK_EVERY_MS = 200
/** A fault of ours must not keep the caller waiting for ever; with the pauses of the worker this takes minutes. */
const MAX_ATTEMPTS = 10
const KEPT_MS = 86_400_000
const LISTED = 100

export function createTreeOperations(deps: TreeOperationDeps): TreeOperations {
  const { db, clock, ids, queue, firstRows } = deps
  const waiting = new Map<string, PromiseWithResolvers<void>>()

  async function begin<P extends { readonly request: TreeRequest }>(
    trx: Transaction,
    plan: (trx: Transaction, now: number) => Promise<P | undefined>,
    by: string,
  ): Promise<{ plan: P; id: string } | { plan: P; outcome: TreeOutcome } | undefined> {
    const now = clock.now()
    const planned = await plan(trx, now)
    if (planned === undefined) return undefined
    const work = { request: planned.request, by, startedAt: now, upToId: await newestNodeId(trx) }
    const limit = createSliceSize(db.dialect, firstRows).rows
    const step = await nextStep(trx, deps, work, { before: undefined, limit })
    if (step.isLast) {
      const totals = addTotals(NO_TOTALS, await step.run())
      if (touchedNothing(planned.request, totals)) throw changedMeanwhile('the node')
      return { plan: planned, outcome: { ...totals, at: now } }
    }
    const id = ids.id()
    await insertTreeOperation(trx, { ...work, id })
    await queue.enqueue({ kind: JOB, dedupeKey: id, payload: { id } }, trx)
    return { plan: planned, id }
  }

  async function end(id: string, signal: AbortSignal): Promise<TreeOutcome> {
    const told = waiting.get(id) ?? Promise.withResolvers<void>()
    waiting.set(id, told)
    try {
      for (;;) {
        const operation = await findTreeOperation(db.read, id)
        if (operation === undefined) throw new AppError('SYSTEM_ERROR', `The operation [${id}] is lost`, { id })
        if (operation.error !== undefined) {
          throw new AppError(operation.error.code as ErrorCode, operation.error.message, { id })
        }
        if (operation.state === 'DONE') return { ...operation.totals, at: operation.startedAt }
        const look = new AbortController()
        const both = AbortSignal.any([signal, look.signal])
        await Promise.race([told.promise, clock.sleep(LOOK_EVERY_MS, both).catch(() => {})])
        look.abort()
        signal.throwIfAborted()
      }
    } finally {
      waiting.delete(id)
    }
  }

  /** What a slice changes and how far it got are one transaction. */
  async function workThrough(operation: TreeOperation, signal: AbortSignal): Promise<void> {
    let at = operation
    await inSlices(
      { db, clock, firstRows },
      async (trx, limit) => {
        const step = await nextStep(trx, deps, at, { before: at.position, limit })
        const totals = addTotals(at.totals, await step.run())
        const position = step.position ?? at.position
        const doneAt = step.isLast ? clock.now() : undefined
        if (!(await saveTreeProgress(trx, at, { totals, position, doneAt }))) {
          throw new AppError('FENCED', `Operation [${at.id}] on a tree is another worker's`, {})
        }
        return { step, next: { ...at, totals, position } }
      },
      ({ step, next }) => {
        at = next
        return step.isLast ? 'done' : 'more'
      },
      signal,
    )
  }

  const handle: JobHandler = async (job, signal) => {
    const id = job.payload.id!
    const operation = await db.transact((trx) => takeTreeOperation(trx, id, job.epoch))
    if (operation !== undefined) {
      try {
        await workThrough(operation, signal)
      } catch (error) {
        const reason = reasonOf(error, job.attempts)
        if (signal.aborted || reason === undefined) throw error
        await db.transact((trx) => failTreeOperation(trx, operation, reason, clock.now()))
      }
    }
    waiting.get(id)?.resolve()
    return undefined
  }

  return {
    async run(plan, by, signal) {
      const begun = await settle(() => db.transact((trx) => begin(trx, plan, by)))
      if (begun === undefined || 'outcome' in begun) return begun
      return { plan: begun.plan, outcome: await end(begun.id, signal) }
    },
    list: (repoId) => listTreeOperations(db.read, repoId, LISTED),
    sweep: () => db.transact((trx) => deleteEndedTreeOperations(trx, clock.now() - KEPT_MS)),
    handlers: new Map([[JOB, handle]]),
  }
}

/** The node that was planned for went away, or was replaced, before it could be locked. */
const touchedNothing = ({ kind, path }: TreeRequest, { files, folders }: TreeTotals): boolean =>
  kind !== 'restore' && path !== ROOT && files + folders === 0

/** What ends an operation; undefined: try again. */
function reasonOf(error: unknown, attempts: number): { code: ErrorCode; message: string } | undefined {
  if (hasCode(error, 'FENCED')) return undefined
  if (error instanceof AppError && !error.retryable) return { code: error.code, message: error.message }
  if (attempts < MAX_ATTEMPTS) return undefined
  return { code: 'SYSTEM_ERROR', message: 'The operation failed repeatedly; what it had done stays done' }
}
