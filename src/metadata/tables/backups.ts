/** Backup and restore (docs/design/backup.md). */
export interface BackupTables {
  backup_task: BackupTaskTable
  backup_run: BackupRunTable
  blob_hold: BlobHoldTable
}

interface BackupTaskTable {
  id: string
  name: string
  type: string
  /** As it was asked for; never resolved. */
  store_location: string
  /** What at most one running task may have, hashed: the resolved location and name of a backup, one word of every restore. */
  place: string
  /** JSON, as it was asked for. */
  content: string
  /** JSON, fully expanded with defaults. */
  setting: string
  state: 'PENDING' | 'RUNNING' | 'FINISHED'
  /** `backup_run.id` of the run that goes on, or of the last one. */
  run: string | null
  /** Of the last run, like the three below. */
  result: string | null
  error_reason: string | null
  artifact_location: string | null
  started_at: number | null
  ended_at: number | null
  /** When a run last ended without an error. */
  succeeded_at: number | null
  /** When it runs by itself; null: nothing is planned. */
  next_execution_at: number | null
  /** The planned time that a run was started for last. */
  fired_at: number | null
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface BackupRunTable {
  id: string
  task_id: string
  /** Who asked for it; of a planned run the task's creator. */
  started_by: string
  /** Who works on it: job and epoch of the claim; null: nobody began. Another claim that finds it set knows that a process died. */
  worker: string | null
  result: string | null
  error_reason: string | null
  artifact_location: string | null
  /** JSON of `RunProgress`. */
  progress: string
  /** JSON; of activities that find something out. */
  report: string | null
  started_at: number
  ended_at: number | null
  /** 1: somebody asked for its end. */
  cancelled: number
}

/** No blob is collected while one is in force: whoever reads what a snapshot names renews it all the while. */
interface BlobHoldTable {
  holder: string
  /** UTC epoch milliseconds. */
  until: number
}
