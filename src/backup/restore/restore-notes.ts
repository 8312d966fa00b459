import { AppError, messageOf } from '../../core/errors.ts'
import { storageTrouble } from '../../core/storage-trouble.ts'
import type { ActivityRun } from '../activities/activity.ts'
import type { ErrorDocument } from '../records/documents.ts'
import type { RestoreRun } from './restore-run.ts'

/** A restore that goes on, and what was noted of it so far. */
export interface RestoreNotes extends RestoreRun {
  /** The first 1,000. */
  readonly errors: readonly ErrorDocument[]
  readonly warnings: readonly string[]
}

const MOST_ERRORS = 1_000
const MOST_WARNINGS = 100

export function createRestoreNotes(run: ActivityRun): RestoreNotes {
  const { errorStrategy, conflictStrategy } = run.task.setting
  const errors: ErrorDocument[] = []
  const warnings: string[] = []
  return {
    ...run,
    onConflict: conflictStrategy,
    errors,
    warnings,
    fail(path, error) {
      // Neither is about this record: every other one would meet it, too.
      const trouble = storageTrouble(error)
      if (trouble !== undefined) throw trouble
      if (!(error instanceof AppError) || error.code === 'STORAGE_UNAVAILABLE') throw error
      if (errorStrategy === 'FAST_FAIL') {
        throw new AppError(error.code, `${path}: ${error.message}`, { ...error.detail }, { cause: error })
      }
      run.progress.add({ failed: 1 })
      if (errors.length < MOST_ERRORS) errors.push({ path, reason: messageOf(error) })
    },
    warn(text) {
      if (warnings.length < MOST_WARNINGS && !warnings.includes(text)) warnings.push(text)
    },
  }
}
