import type { toRecordDetail } from './record-wire.ts'

export const EXPORT_FORMATS = ['NDJSON', 'CSV'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

type Detail = ReturnType<typeof toRecordDetail>

/** How details become bytes of a file. */
interface Writer {
  readonly mediaType: string
  /** Before the first line. */
  readonly head: string
  line(detail: Detail): string
}

const COLUMNS: readonly (readonly [name: string, of: (detail: Detail) => string | number | null])[] = [
  ['id', ({ id }) => id],
  ['recordId', ({ recordId }) => recordId],
  ['localCluster', ({ localCluster }) => localCluster],
  ['remoteCluster', ({ remoteCluster }) => remoteCluster],
  ['localRepoName', ({ localRepoName }) => localRepoName],
  ['repoType', ({ repoType }) => repoType],
  ['packageKey', ({ packageConstraint }) => packageConstraint?.packageKey ?? null],
  ['artifactName', ({ artifactName }) => artifactName],
  ['version', ({ version }) => version],
  ['conflictStrategy', ({ conflictStrategy }) => conflictStrategy],
  ['size', ({ size }) => size],
  ['sha256', ({ sha256 }) => sha256],
  ['status', ({ status }) => status],
  ['startTime', ({ startTime }) => startTime],
  ['endTime', ({ endTime }) => endTime],
  ['errorReason', ({ errorReason }) => errorReason],
  ['executeType', ({ executeType }) => executeType],
]
/** What spreadsheets take for the beginning of a formula, in plain and in full width. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/
const NEEDS_QUOTES = /[",\r\n']/

const NEW_LINE = '\r\n'
const csvLine = (values: readonly (string | number | null)[]): string => values.map(csvField).join(',') + NEW_LINE

export const WRITERS: Readonly<Record<ExportFormat, Writer>> = {
  NDJSON: {
    mediaType: 'application/x-ndjson; charset=utf-8',
    head: '',
    line: (detail) => `${JSON.stringify(detail)}\n`,
  },
  CSV: {
    mediaType: 'text/csv; charset=utf-8; header=present',
    head: csvLine(COLUMNS.map(([name]) => name)),
    line: (detail) => csvLine(COLUMNS.map(([, of]) => of(detail))),
  },
}

/** RFC 4180; null is an empty field. Text that a spreadsheet would calculate gets an apostrophe in front. */
export function csvField(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = FORMULA.test(value) ? `'${value}` : value
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
