import { hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import { cancelBackupRun, findBackupRun, findBackupRuns, pageBackupRuns } from '../../metadata/backup/runs.ts'
import {
  type BackupTaskRow,
  deleteBackupTask,
  findBackupTask,
  insertBackupTask,
  lockBackupTask,
  pageBackupTasks,
  updateBackupTask,
} from '../../metadata/backup/tasks.ts'
import type { MetadataDatabase, Reader, Transaction } from '../../metadata/database.ts'
import { ofOneMoment } from '../../metadata/one-moment.ts'
import type { Timetable } from '../../tasks/schedule/timetable.ts'
import type { TimeRules } from '../../tasks/validate-setting.ts'
import type { Places } from '../places/places.ts'
import { type BackupRun, runFromRow } from './backup-run.ts'
import type { BackupRuns } from './backup-runs.ts'
import type { BackupState, BackupTask } from './backup-task.ts'
import type { RunWaits } from './run-waits.ts'
import { plannedOf, taskFromRow } from './stored-backup-task.ts'
import { type BackupPlan, checkBackupTask } from './validate-backup-task.ts'

/** A task with its run that goes on, or its last one. */
export interface BackupTaskView {
  readonly task: BackupTask
  readonly run: BackupRun | undefined
}

/** Use cases of contract 004. Every refusal of an id is PARAMETER_INVALID `taskId`, of a state PARAMETER_INVALID `state`. */
export interface BackupTasks {
  /** @returns its id. @throws AppError of `checkBackupTask` and `Places`; then nothing is stored. */
  create(body: unknown, userId: string): Promise<string>
  get(id: string): Promise<BackupTaskView>
  /** The newest first. */
  page(state: BackupState | undefined, page: PageRequest): Promise<Page<BackupTaskView>>
  /** The newest first. */
  pageRuns(id: string, page: PageRequest): Promise<Page<BackupRun>>
  /** Starts a run of a PENDING task. @returns its id. @throws AppError LOCK_NOT_ACQUIRED when another run has the place. */
  execute(id: string, userId: string): Promise<string>
  /** Ends the run that goes on, soon. */
  cancel(id: string, userId: string): Promise<void>
  /** With its runs, not with what they made. @throws AppError DELETION_REFUSED while it runs. */
  delete(id: string): Promise<void>
  /** Creates a task that verifies what is at `location` and starts it. Fields: `location`, `name`, `readDataPercent`, `subset`, `legacy`. */
  verify(body: unknown, userId: string): Promise<{ readonly taskId: string; readonly runId: string }>
  /** Resolves when the run has ended, or after so long. */
  ended: RunWaits['ended']
}

export interface BackupTasksDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly runs: BackupRuns
  readonly places: Places
  readonly waits: RunWaits
  readonly timetable: Timetable
  readonly parseTime: TimeRules['parseTime']
  /** Aborts a run of this process. */
  readonly cut: (runId: string) => void
}

const VERIFY_NAME = 'verify'

export function createBackupTasks(deps: BackupTasksDeps): BackupTasks {
  const { db, clock, ids, runs, places, waits, timetable, parseTime, cut } = deps
  const missing = (id: string) => invalid('taskId', `there is no task [${id.slice(0, 80)}]`)

  async function judge(body: unknown, field: string): Promise<BackupPlan & { readonly place: string }> {
    const plan = checkBackupTask(body, { now: clock.now(), parseTime, firings: timetable.firings })
    return { ...plan, place: placeOf(plan, await resolve(plan, field)) }
  }

  function resolve({ type, storeLocation, setting }: BackupPlan, field: string): Promise<string> {
    if (type === 'DATA_BACKUP') return places.resolveTarget(storeLocation, field)
    if (type === 'DATA_RESTORE') return places.resolveRun(storeLocation, setting.legacy ? 'legacy' : 'whole')
    return places.resolveExisting(storeLocation, field)
  }

  async function insert(trx: Transaction, plan: BackupPlan & { readonly place: string }, by: string): Promise<string> {
    const { name, type, storeLocation, place, content, setting } = plan
    const id = ids.id()
    const now = clock.now()
    const next = timetable.next(plannedOf(setting, null), now)
    await insertBackupTask(trx, {
      ...{ id, name, type, store_location: storeLocation, place, state: 'PENDING' },
      ...{ content: JSON.stringify(content), setting: JSON.stringify(setting), next_execution_at: next },
      ...{ created_by: by, created_at: now, modified_by: by, modified_at: now },
    })
    await runs.plan(trx, id, next)
    return id
  }

  async function lock(trx: Transaction, id: string): Promise<BackupTaskRow> {
    const task = await lockBackupTask(trx, id)
    if (task === undefined) throw missing(id)
    return task
  }

  async function start(trx: Transaction, id: string, userId: string): Promise<string> {
    const runId = await runs.start(trx, await lock(trx, id), userId)
    await updateBackupTask(trx, id, { modified_by: userId, modified_at: clock.now() })
    return runId
  }

  async function views(reader: Reader, rows: readonly BackupTaskRow[]): Promise<BackupTaskView[]> {
    const found = await findBackupRuns(
      reader,
      rows.flatMap(({ run }) => run ?? []),
    )
    const byId = new Map(found.map((run) => [run.id, runFromRow(run)]))
    return rows.map((row) => ({ task: taskFromRow(row), run: byId.get(row.run ?? '') }))
  }

  async function find(reader: Reader, id: string): Promise<BackupTaskRow> {
    const row = await findBackupTask(reader, id)
    if (row === undefined) throw missing(id)
    return row
  }

  return {
    async create(body, userId) {
      const plan = await judge(body, 'storeLocation')
      return db.transact((trx) => insert(trx, plan, userId))
    },
    get: (id) => ofOneMoment(db, async (reader) => (await views(reader, [await find(reader, id)]))[0]!),
    page: (state, page) =>
      ofOneMoment(db, async (reader) => {
        const found = await pageBackupTasks(reader, state, page)
        return { ...found, records: await views(reader, found.records) }
      }),
    pageRuns: (id, page) =>
      ofOneMoment(db, async (reader) => {
        const found = await pageBackupRuns(reader, (await find(reader, id)).id, page)
        return { ...found, records: found.records.map(runFromRow) }
      }),
    execute: (id, userId) => db.transact((trx) => start(trx, id, userId)),

    async cancel(id, userId) {
      const runId = await db.transact(async (trx) => {
        const task = await lock(trx, id)
        if (task.state !== 'RUNNING') throw invalid('state', `task [${id}] is ${task.state}: nothing goes on`)
        const run = await findBackupRun(trx, task.run!)
        const end = { result: 'CANCELLED', error_reason: 'it was cancelled', artifact_location: null, report: null }
        // Nobody has begun it: there is nothing to wait for.
        if (run?.worker === null) await runs.end(trx, { id: run.id, taskId: id, worker: null }, end)
        else await cancelBackupRun(trx, task.run!)
        await updateBackupTask(trx, id, { modified_by: userId, modified_at: clock.now() })
        return task.run!
      })
      cut(runId)
    },
    async delete(id) {
      await db.transact(async (trx) => {
        const { state } = await lock(trx, id)
        if (state === 'RUNNING')
          throw new AppError(
            'DELETION_REFUSED',
            `Task [${id}] runs: wait for its end, or cancel it, then delete it`,
            {},
          )
        await deleteBackupTask(trx, id)
      })
    },
    async verify(body, userId) {
      const fields = fieldsOf(body)
      const location = fields.text('location')
      if (location === undefined) throw invalid('location', 'it is missing')
      const [readDataPercent, subset, legacy] = ['readDataPercent', 'subset', 'legacy'].map(fields.raw)
      const setting = { readDataPercent, subset, legacy }
      const name = fields.text('name') ?? VERIFY_NAME
      const task = { name, storeLocation: location, type: 'DATA_VERIFY', backupSetting: setting }
      const plan = await judge(task, 'location')
      return db.transact(async (trx) => {
        const taskId = await insert(trx, plan, userId)
        return { taskId, runId: await start(trx, taskId, userId) }
      })
    },
    ended: waits.ended,
  }
}

/** What one running task at a time may have (backup.md 4): of a size that an index takes. */
function placeOf({ type, name }: BackupPlan, resolved: string): string {
  const what = type === 'DATA_RESTORE' ? '' : resolved
  return hash('sha256', [type, what, type === 'DATA_BACKUP' ? name : ''].join('\n'))
}
