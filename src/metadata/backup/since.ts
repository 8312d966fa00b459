import type { Reader } from '../database.ts'

/** What an increment takes. */
export interface Since {
  /** UTC epoch milliseconds, inclusive: whatever has a date from then on. */
  readonly date: number
  /**
   * Besides, whatever the log numbers above it or has not numbered yet: dates are those of when a change began, and may be older than what
   * was seen before it ended. Undefined: there is no earlier run.
   */
  readonly seq: number | undefined
}

/** Paths that the change log names since then, those of packages and versions too. */
export function changedPaths(reader: Reader, repoId: number, { date, seq }: Since) {
  const of = () => reader.selectFrom('change_log').select('path').where('repo_id', '=', repoId)
  const dated = of().where('at', '>=', date)
  if (seq === undefined) return dated
  return dated.union(of().where('seq', '>', seq)).union(of().where('seq', 'is', null))
}
