import { type LogPosition, logSince, oldestChange } from '../../metadata/backup/changes-since.ts'
import type { Since } from '../../metadata/backup/since.ts'
import type { RepositoryRow } from '../../metadata/backup/snapshot-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import { dateOf } from '../records/encode-records.ts'

/** What an increment is asked for. */
export interface Increment {
  /** UTC epoch milliseconds: what has a date from then on. */
  readonly date: number
  /** The run before it, of which nothing that changed since may be missing; undefined: there is none. */
  readonly follows: FollowedRun | undefined
}

export interface FollowedRun extends LogPosition {
  /** UTC epoch milliseconds. */
  readonly startedAt: number
}

const OTHER_HISTORY =
  'The data of this server was put back to an earlier state after the backup before this one: what it lost by that stays in what is restored from both; make a full backup'

/** What is chosen, and what somebody should know of it. */
export async function chooseSince(
  reader: Reader,
  { date, follows }: Increment,
  repositories: readonly RepositoryRow[],
): Promise<{ readonly since: Since; readonly warnings: string[] }> {
  const isOther = follows !== undefined && (await logSince(reader, follows)) === 'other'
  const before = isOther ? undefined : follows
  const lost = await lostChanges(reader, repositories, date, before)
  return { since: { date, seq: before?.snapshotSeq }, warnings: [...(isOther ? [OTHER_HISTORY] : []), ...lost] }
}

/** Deletions of files and versions are remembered for good; changes that left no date, and those of folders, are not. */
async function lostChanges(
  reader: Reader,
  repositories: readonly RepositoryRow[],
  date: number,
  follows: FollowedRun | undefined,
): Promise<string[]> {
  const needed = follows !== undefined && follows.startedAt <= date ? follows.snapshotSeq : 0
  const isTrimmed = repositories.some(({ floor_seq }) => floor_seq > needed)
  const oldest = await oldestChange(reader)
  if (!isTrimmed || (oldest !== undefined && oldest <= Math.min(date, follows?.startedAt ?? date))) return []
  const kept = oldest === undefined ? 'which is empty' : `which begins at ${dateOf(oldest)}`
  const what =
    follows === undefined ? 'The date of the increment is' : 'The date of the increment or the backup before it is'
  return [
    `${what} older than the change log, ${kept}: what changed before without a date of its own, and folders that were deleted, may be missing; make a full backup`,
  ]
}
