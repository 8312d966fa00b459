import { AppError } from '../../core/errors.ts'
import type { DeleteGuard } from '../../tasks/task.ts'

/** What a run, or a window of changes that are followed, would delete at the target. */
export interface DeletionSize {
  /** Files that would be deleted there; those whose own time is over do not count. */
  readonly deletions: number
  /** Files that the target has in the scope, before anything is sent. */
  readonly targetFiles: number
}

/**
 * An accident at the source must not reach its copies (replication.md 8). Asked before anything is sent.
 * @param repository of the target, for the words. @throws AppError TASK_FAILED when both limits would be exceeded.
 */
export function checkDeleteGuard({ maxCount, maxShare }: DeleteGuard, size: DeletionSize, repository: string): void {
  const { deletions, targetFiles } = size
  if (deletions <= maxCount || deletions <= maxShare * targetFiles) return
  const message = `replica task failed (250314): ${deletions} of ${targetFiles} files of the target repository [${repository}] would be deleted, more than deleteGuard allows (maxCount ${maxCount} and maxShare ${maxShare}); nothing was deleted, and nothing else was sent. If they shall go, raise setting.deleteGuard of the task and execute it again; if not, bring the files back at the source`
  throw new AppError('TASK_FAILED', message, { ...size })
}
