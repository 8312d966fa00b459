import { AppError } from '../../core/errors.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RepositoryToRestore } from './restore-plan.ts'
import type { VersionOutcome } from './version-batch.ts'
import type { VersionToRestore } from './version-to-restore.ts'

/** Counts what became of versions, and notes those that were refused. */
export function tellVersions(
  { run }: RestoreContext,
  { project, repo }: RepositoryToRestore,
  outcome: VersionOutcome,
): void {
  const done = outcome.written + outcome.unchanged
  const left = outcome.kept + outcome.expired.length
  run.progress.add({ versions: done + left, success: done, skipped: left })
  for (const { version, reason } of outcome.refused) {
    run.progress.add({ versions: 1 })
    run.fail(`${project}/${repo}: ${version.key} ${version.name}`, new AppError('NODE_CONFLICT', reason))
  }
}

/** Of versions that were left out. */
export function warnOfExpired(
  { run }: RestoreContext,
  { project, repo }: RepositoryToRestore,
  [first, ...others]: readonly VersionToRestore[],
): void {
  if (first === undefined) return
  const name = `${first.key} ${first.name}`
  const what = others.length === 0 ? `${name} was` : `${name} and ${others.length} more versions were`
  run.warn(`[${project}/${repo}]: ${what} left out: the time of one of their files is over`)
}
