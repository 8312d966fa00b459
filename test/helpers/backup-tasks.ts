import { mkdir } from 'node:fs/promises'
import type { Activity, ActivityOutcome, ActivityRun } from '../../src/backup/activities/activity.ts'
import { createPlaces, type Places } from '../../src/backup/places/places.ts'
import { createBackupRuns, FIRE_BACKUP, RUN_BACKUP } from '../../src/backup/tasks/backup-runs.ts'
import { ACTIVITY_TYPES } from '../../src/backup/tasks/backup-task.ts'
import { type BackupTasks, type BackupTaskView, createBackupTasks } from '../../src/backup/tasks/backup-tasks.ts'
import { createFireJob, type FireJob } from '../../src/backup/tasks/fire-job.ts'
import { type Activities, createRunJob } from '../../src/backup/tasks/run-job.ts'
import { createRunWaits } from '../../src/backup/tasks/run-waits.ts'
import { createDates } from '../../src/http/dates.ts'
import type { ClaimedJob, JobQueue } from '../../src/jobs/job-queue.ts'
import { createLeaseTableQueue } from '../../src/jobs/lease-table.ts'
import type { JobHandler } from '../../src/jobs/worker.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createTimetable } from '../../src/tasks/schedule/timetable.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { countingIds } from './ids.ts'
import { tempDir } from './temp.ts'

export const DONE: ActivityOutcome = { result: 'SUCCESS', errorReason: null, artifactLocation: '/made', report: null }

/** An activity that does what a test wants, and remembers what it was asked. */
export interface StandInActivity extends Activity {
  readonly runs: ActivityRun[]
  readonly swept: string[]
  perform: (run: ActivityRun, signal: AbortSignal) => Promise<ActivityOutcome>
  clean: () => Promise<void>
}

export function standInActivity(): StandInActivity {
  const activity: StandInActivity = {
    runs: [],
    swept: [],
    perform: async () => DONE,
    clean: async () => {},
    run(run, signal) {
      activity.runs.push(run)
      return activity.perform(run, signal)
    },
    async sweep({ id }) {
      activity.swept.push(id)
      await activity.clean()
    },
  }
  return activity
}

/** Tasks of backup on one database, with a worker that is moved by hand. */
export interface BackupBench extends AsyncDisposable {
  readonly db: MetadataDatabase
  readonly clock: ManualClock
  readonly queue: JobQueue
  readonly tasks: BackupTasks
  readonly places: Places
  /** Of all types. */
  readonly activity: StandInActivity
  readonly fire: FireJob
  readonly skipped: string[]
  readonly defects: unknown[]
  /** Begin and end of runs, as the log has them. */
  readonly told: string[]
  /** An allowed root. */
  readonly root: string
  /** A backup of everything, called `name`, in the root. */
  create(change?: object): Promise<string>
  get(id: string): Promise<BackupTaskView['task']>
  claim(kind: string): Promise<ClaimedJob | undefined>
  /** What a worker does with a claimed job. */
  handle(job: ClaimedJob, signal?: AbortSignal): Promise<void>
  /** Works until nothing is due. */
  work(): Promise<void>
}

const OWNER = 'test:0'
const LEASE_MS = 30_000

export async function backupBench(db: MetadataDatabase): Promise<BackupBench> {
  const dir = await tempDir()
  const root = dir.file('root')
  await mkdir(root)
  const clock = manualClock()
  const ids = countingIds()
  const queue = createLeaseTableQueue({ db, clock })
  const timetable = createTimetable('UTC')
  const places = createPlaces({ rules: 'posix', roots: [root], map: [] })
  const activity = standInActivity()
  const activities = Object.fromEntries(ACTIVITY_TYPES.map((type) => [type, activity])) as unknown as Activities
  const runs = createBackupRuns({ clock, ids, jobs: queue, timetable })
  const waits = createRunWaits({ db, clock })
  const skipped: string[] = []
  const defects: unknown[] = []
  const told: string[] = []
  const runJob = createRunJob({
    ...{ db, clock, runs, places, activities, waits },
    onBegun: ({ name }) => told.push(`${name} has begun`),
    onEnded: ({ name, result, seconds, bytes, reason }) =>
      told.push(`${name}: ${result}, ${seconds} s, ${bytes} bytes, ${reason}`),
    onDefect: (error) => defects.push(error),
  })
  const fire = createFireJob({
    ...{ db, clock, jobs: queue, runs, timetable },
    onSkipped: ({ name }) => skipped.push(name),
  })
  const tasks = createBackupTasks({
    ...{ db, clock, ids, runs, places, waits, timetable },
    parseTime: createDates('UTC').parse,
    cut: runJob.cut,
  })
  const handlers = new Map<string, JobHandler>([
    [RUN_BACKUP, runJob.handler],
    [FIRE_BACKUP, fire.handler],
  ])
  let made = 0

  async function handle(job: ClaimedJob, signal = new AbortController().signal): Promise<void> {
    const outcome = await handlers.get(job.kind)!(job, signal)
    if (outcome === undefined) await queue.finish(job, OWNER)
    else await queue.postpone(job, OWNER, outcome.retryAt)
  }
  return {
    ...{ db, clock, queue, tasks, places, activity, fire, skipped, defects, told, root, handle },
    create: (change = {}) => tasks.create({ ...sampleBackup(`task-${++made}`), ...change }, 'admin'),
    get: async (id) => (await tasks.get(id)).task,
    claim: (kind) => queue.claim(OWNER, [kind], LEASE_MS),
    async work() {
      for (;;) {
        const job = await queue.claim(OWNER, [...handlers.keys()], LEASE_MS)
        if (job === undefined) return
        await handle(job)
      }
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

/** The sample of contract 004, with a place below the first root. */
export const sampleBackup = (name: string) => ({
  name,
  storeLocation: 'nightly',
  content: { commonData: true, compression: true, projects: [{ projectRegex: '*' }] },
})
