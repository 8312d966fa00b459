import { invalid } from '../core/errors.ts'

/** UTC epoch milliseconds inside, date-times without zone on the wire, e.g. `2021-05-12T12:19:08.813` (replication.md 0.3). */
export interface Dates {
  /** Always three fraction digits. Null stays null; what lies beyond the years 0 to 9999 is shown as their first or last moment. */
  format(ms: number): string
  format(ms: number | null): string | null
  /**
   * Takes a date-time with 0 to 9 fraction digits, with `T` or a space, with `Z`, an offset or neither (then in the server's
   * zone), or epoch milliseconds as number or digits. @throws AppError PARAMETER_INVALID naming `name`.
   */
  parse(name: string, value: unknown): number
  /** Offset of the server's zone at that moment, e.g. `+08:00`. */
  offset(ms: number): string
}

const DATE_TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)\s*(Z|[+-]\d{2}:?\d{2})?$/i
/** Of the server's zone. Later years have five digits and no place in the form above. */
const LATEST_MS = Date.UTC(10_000, 0, 1) - 1
/** Of the server's zone: the year 0 begins. */
const EARLIEST_MS = -62_167_219_200_000
/** No zone is further from UTC. */
const DAY_MS = 24 * 60 * 60_000

/** How far a zone is from UTC. */
interface Offset {
  readonly ms: number
  /** `+08:00`. */
  readonly text: string
}
const QUARTER_MS = 15 * 60_000
/** The last zone whose offset had seconds gave it up in 1972. */
const STEADY_SINCE_MS = Date.UTC(1973, 0, 1)
const MAX_OFFSETS = 10_000

/** @param timeZone IANA name, e.g. `Asia/Shanghai`. */
export function createDates(timeZone: string): Dates {
  const offsets = new Map<number, Offset>()

  /** Looked up once per quarter of an hour: zones change at those only, since `STEADY_SINCE_MS`. */
  function offsetAt(ms: number): Offset {
    const quarter = Math.floor(ms / QUARTER_MS)
    const known = ms >= STEADY_SINCE_MS ? offsets.get(quarter) : undefined
    if (known !== undefined) return known
    const local = Temporal.Instant.fromEpochMilliseconds(Math.trunc(ms)).toZonedDateTimeISO(timeZone)
    const offset = { ms: local.offsetNanoseconds / 1e6, text: local.offset }
    if (offsets.size >= MAX_OFFSETS) offsets.clear()
    if (ms >= STEADY_SINCE_MS) offsets.set(quarter, offset)
    return offset
  }

  function format(ms: number): string
  function format(ms: number | null): string | null
  function format(ms: number | null): string | null {
    if (ms === null) return null
    const near = within(ms, EARLIEST_MS - DAY_MS, LATEST_MS + DAY_MS)
    return new Date(within(near + offsetAt(near).ms, EARLIEST_MS, LATEST_MS)).toISOString().slice(0, -1)
  }
  function epochMs(text: string): number | undefined {
    if (/^-?\d{1,15}$/.test(text)) return Number(text)
    const [, date, time, zone] = DATE_TIME.exec(text) ?? []
    if (date === undefined) return undefined
    try {
      const local = `${date}T${time}`
      if (zone !== undefined) return Temporal.Instant.from(`${local}${zone.toUpperCase()}`).epochMilliseconds
      return Temporal.PlainDateTime.from(local).toZonedDateTime(timeZone).epochMilliseconds
    } catch {
      return undefined // the form is right, the day does not exist
    }
  }
  return {
    format,
    parse(name, value) {
      const text = typeof value === 'number' ? String(value) : value
      const ms = typeof text === 'string' ? epochMs(text.trim()) : undefined
      if (ms === undefined || Math.abs(ms + offsetAt(ms).ms) > LATEST_MS) {
        throw invalid(name, 'it is no date-time such as 2021-05-12T12:19:08.813')
      }
      return ms
    },
    offset: (ms) => offsetAt(ms).text,
  }
}

const within = (ms: number, least: number, most: number): number => Math.min(Math.max(ms, least), most)
