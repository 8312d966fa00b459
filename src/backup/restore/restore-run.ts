import type { ActivityRun } from '../activities/activity.ts'

/** A restore that goes on. */
export interface RestoreRun extends ActivityRun {
  /** Whether a record with the key of one that is there replaces it. */
  readonly onConflict: 'SKIP' | 'OVERWRITE'
  /**
   * Notes a record that could not be restored, with `path` as people know it (`project/repo/full/path`, `user.json: anna`), and counts it.
   * @throws AppError of the same code, naming the path, when the run ends at its first (FAST_FAIL); the error itself when it is about more
   * than the record: a disk that is full, a defect.
   */
  fail(path: string, error: unknown): void
  /** What somebody should know, though nothing failed. At most 100 are kept. */
  warn(text: string): void
}
