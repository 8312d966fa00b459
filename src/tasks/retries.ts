import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import { WHOLE_LINK } from '../metadata/replication/divergences.ts'
import { findFailure } from '../metadata/replication/failure-pages.ts'
import { hurryFailures, hurryPaths, listDueOfTask, listTasksWithDue } from '../metadata/replication/failures.ts'
import { listRecordFailures, type RecordFailure } from '../metadata/replication/record-failures.ts'
import { findRecord, hasRunningRecord, newestRecords, type RecordRow } from '../metadata/replication/records.ts'
import { lockTask, type TaskRow } from '../metadata/replication/tasks.ts'
import type { RunRetry } from './record.ts'
import { type Runs, runInProgress } from './runs.ts'

/** Runs that try again what failed, and nothing else (replication.md 3.9, 8). Each has a record of its own; closed ones stay as they are. */
export interface Retries {
  /** Starts a run for each enabled task of which something is due and no run is in progress. What follows changes does so by itself. */
  startDue(signal: AbortSignal): Promise<void>
  /**
   * What failed in a closed record. @returns the id of the record that tries it again.
   * @throws AppError TASK_NOT_FOUND, TASK_STATUS_INVALID while a run is in progress, PARAMETER_INVALID when nothing failed, TASK_DISABLED.
   */
  retryRecord(recordId: string): Promise<string>
  /** One failure, now, or as soon as the run that is in progress has ended. @throws AppError FAILURE_NOT_FOUND, TASK_DISABLED. */
  retryFailure(id: string): Promise<void>
}

interface RetriesDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly runs: Runs
}

/** Types whose runs begin and end. */
const RUN_TYPES = ['SCHEDULED', 'RUN_ONCE']
const TASKS_AT_ONCE = 100
/** Of one run: the snapshot in its record names them. What is left is due for the next one. */
const MOST_ITEMS = 5_000

export function createRetries({ db, clock, runs }: RetriesDependencies): Retries {
  async function enabledTask(trx: Transaction, key: string): Promise<TaskRow | undefined> {
    const row = await lockTask(trx, key)
    if (row !== undefined && row.enabled === 0) {
      throw new AppError('TASK_DISABLED', 'task enables is false: enable it, then try again', { key })
    }
    return row
  }

  async function startDueOf(key: string): Promise<void> {
    await db.transact(async (trx) => {
      const row = await lockTask(trx, key)
      if (row === undefined || row.enabled === 0 || (await hasRunningRecord(trx, key))) return
      const due = await listDueOfTask(trx, key, clock.now(), MOST_ITEMS)
      const of = (await newestRecords(trx, [key])).get(key)?.id
      if (due.length === 0) return
      await runs.start(trx, row, { of: of ?? '', links: linksOf(due) })
    })
  }

  /** Whoever follows changes takes what is due with them: there is no run to start, and the open record counts it. */
  async function hurryLive(trx: Transaction, taskKey: string, failed: readonly RecordFailure[]): Promise<string> {
    for (const [linkId, some] of Map.groupBy(failed, (one) => one.linkId)) {
      const paths = some.flatMap(({ path }) => (path === null ? [] : [path]))
      await hurryPaths(trx, linkId, paths, clock.now())
    }
    const open = (await newestRecords(trx, [taskKey])).get(taskKey)
    if (open?.status !== 'RUNNING') throw nothingOpen(taskKey)
    return open.id
  }

  return {
    async startDue(signal) {
      for (const key of await listTasksWithDue(db.read, RUN_TYPES, clock.now(), TASKS_AT_ONCE)) {
        if (signal.aborted) return
        await startDueOf(key)
      }
    },

    async retryRecord(recordId) {
      return db.transact(async (trx) => {
        const taskKey = (await findRecord(trx, recordId))?.task_key
        const row = taskKey === undefined ? undefined : await enabledTask(trx, taskKey)
        const record = await findRecord(trx, recordId)
        if (row === undefined || record === undefined) throw notFound(recordId)
        if (record.status === 'RUNNING') throw runInProgress(row.key)
        const failed = await listRecordFailures(trx, recordId, MOST_ITEMS)
        if (failed.length === 0) throw nothingFailed(record)
        if (row.replica_type === 'REAL_TIME') return hurryLive(trx, row.key, failed)
        return runs.start(trx, row, { of: recordId, links: linksOf(failed) })
      })
    },

    async retryFailure(id) {
      await db.transact(async (trx) => {
        const found = await findFailure(trx, id)
        const row = found && (await enabledTask(trx, found.taskKey))
        if (found === undefined || row === undefined || (await hurryFailures(trx, [id], clock.now())) === 0) {
          throw new AppError('FAILURE_NOT_FOUND', `Failure [${id}] not found: it may have succeeded meanwhile`, { id })
        }
        if (!RUN_TYPES.includes(row.replica_type) || (await hasRunningRecord(trx, row.key))) return
        const of = (await newestRecords(trx, [row.key])).get(row.key)?.id ?? ''
        await runs.start(trx, row, { of, links: { [found.linkKey]: found.path === WHOLE_LINK ? null : [found.path] } })
      })
    },
  }
}

/** A link that is to be looked at as a whole holds its paths. */
function linksOf(failed: readonly { readonly linkKey: string; readonly path: string | null }[]): RunRetry['links'] {
  const links: Record<string, string[] | null> = {}
  for (const { linkKey, path } of failed) {
    const known = links[linkKey]
    if (path === null || path === WHOLE_LINK) links[linkKey] = null
    else if (known === undefined) links[linkKey] = [path]
    else known?.push(path)
  }
  return links
}

const notFound = (recordId: string) =>
  new AppError('TASK_NOT_FOUND', `replica task [${recordId}] not found: there is no such record`, { recordId })

const nothingFailed = ({ id, status }: RecordRow) =>
  invalid(
    'recordId',
    `nothing to try again in record ${id}: ${status === 'FAILED' ? FAILED_ELSEWHERE : 'nothing failed'}`,
  )
const FAILED_ELSEWHERE = 'the task no longer has the targets or repositories of what failed'

const nothingOpen = (key: string) =>
  new AppError('TASK_STATUS_INVALID', 'task status invalid: it follows no changes at the moment', { key })
