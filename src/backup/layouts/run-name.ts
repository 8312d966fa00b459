/** `yyyyMMdd.HHmmss` of a moment in a zone: names a run (backup.md 3.1). */
export function runNameOf(ms: number, timeZone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.trunc(ms)).toZonedDateTimeISO(timeZone)
  return local.toPlainDateTime().toString({ smallestUnit: 'second' }).replaceAll(/[-:]/g, '').replace('T', '.')
}

/** So many runs of one name that begin in the same second wait for one of their own. */
const MOST_LATER_SECONDS = 600

/**
 * Behind all that are taken, not in a gap that a removed one has left: the order of names is that of runs.
 * @returns undefined when there is none.
 */
export function freeNameAfter(
  startedAt: number,
  timeZone: string,
  isTaken: (name: string) => boolean,
): string | undefined {
  const names = Array.from({ length: MOST_LATER_SECONDS }, (_, later) => runNameOf(startedAt + later * 1_000, timeZone))
  return names[names.findLastIndex(isTaken) + 1]
}

const RUN_NAME = /^(\d{4})(\d{2})(\d{2})\.(\d{2})(\d{2})(\d{2})$/

/** UTC epoch milliseconds; undefined: it is no name of a run. Of an hour that came twice, the first. */
export function runTimeOf(name: string, timeZone: string): number | undefined {
  const match = RUN_NAME.exec(name)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  try {
    return Temporal.PlainDateTime.from(
      { year, month, day, hour, minute, second },
      { overflow: 'reject' },
    ).toZonedDateTime(timeZone).epochMilliseconds
  } catch {
    return undefined
  }
}
