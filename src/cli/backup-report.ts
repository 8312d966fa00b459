import type { BackupInfo } from './backup-names.ts'
import { bytesText } from './terminal.ts'

/** What a run has found out, as the server gives it: all of it may be absent. */
type Report = Readonly<Record<string, unknown>>
type Lines = (report: Report) => string[]

const SHOWN = 20
/** Of counts, in this order; zeros are left out. */
const COUNTED: readonly (readonly [name: string, one: string, many: string])[] = [
  ['projects', 'project', 'projects'],
  ['repos', 'repository', 'repositories'],
  ['nodes', 'file or folder', 'files and folders'],
  ['versions', 'version', 'versions'],
  ['contents', 'content written', 'contents written'],
  ['kept', 'content that was there', 'contents that were there'],
  ['deleted', 'deleted', 'deleted'],
  ['skipped', 'left as it is', 'left as they are'],
  ['failed', 'failed', 'failed'],
]

/** The report of a task's last run for people, by the type of the task; nothing when it says nothing. Pure. */
export function reportLines({ type, report }: Pick<BackupInfo, 'type' | 'report'>): string[] {
  return report ? (BY_TYPE[type] ?? moved)(report) : []
}

const BY_TYPE: Readonly<Record<string, Lines>> = {
  DATA_BACKUP: moved,
  DATA_RESTORE: moved,
  DATA_VERIFY: verified,
  DATA_PRUNE: pruned,
  DATA_DRILL: drilled,
}

/** Of a backup and a restore. */
function moved(report: Report): string[] {
  const { dryRun, counts, errors, warnings } = report
  const said = countsText(isReport(counts) ? counts : report)
  const did = dryRun === true ? 'would do: ' : 'did:      '
  return [
    ...(said === '' ? [] : [`${did}${said}`]),
    ...listed('errors', errors, pathAndReason),
    ...listed('warnings', warnings, String),
  ]
}

function verified({ objects, bytes, wrong, readDataPercent, subset, verified: places }: Report): string[] {
  const share = typeof subset === 'string' ? `, part ${subset}` : ''
  const findings = reportsIn(places).flatMap(({ path, findings: found }) =>
    reportsIn(found).map(({ object, reason }) => `${inside(path, object)}: ${reason}`),
  )
  return [
    `looked at: ${objectsText(objects)}, ${sizeText(bytes)}; read ${readDataPercent} % of the contents${share}`,
    ...reportsIn(places).map((one) => `  ${one.path}: ${objectsText(one.objects)}, ${wrongText(one.wrong)}`),
    `found:     ${wrongText(wrong)}`,
    ...listed('findings', findings, String),
  ]
}

function pruned({ dryRun, kept, removed, repository }: Report): string[] {
  const goes = dryRun === true ? 'would be removed' : 'removed'
  return [
    ...listed('kept', kept, ({ path, reasons }: Report) => `${path}${reasonsText(reasons)}`),
    ...listed(goes, removed, String),
    ...(isReport(repository) ? repositoryLines(repository, goes) : []),
    ...(isEmpty(kept) && isEmpty(removed)
      ? ['No runs are in this place: they lie in the storeLocation of a task']
      : []),
  ]
}

function repositoryLines(repository: Report, goes: string): string[] {
  const { snapshots, objects, bytes, removed, removedBytes, unneeded, rewritten, lost, damaged } = repository
  return [
    `repository: ${numbered(snapshots, 'snapshot', 'snapshots')}, ${objectsText(objects)}, ${sizeText(bytes)}`,
    `  ${goes}: ${objectsText(removed)}, ${sizeText(removedBytes)}; rewritten: ${rewritten}; wait for their time of grace: ${unneeded}`,
    ...listed('lost', lost, String),
    ...listed('damaged', damaged, String),
  ]
}

function drilled(report: Report): string[] {
  const { backup, restored, files, contentsRead, samples, wrong, differences } = report
  return [
    `restored:  ${backup}: ${restored}`,
    ...(files === undefined
      ? []
      : [
          `compared:  ${numbered(files, 'file', 'files')}, ${numbered(contentsRead, 'content', 'contents')} read, ${numbered(samples, 'version', 'versions')}`,
        ]),
    ...(wrong === undefined ? [] : [`found:     ${wrongText(wrong)}`]),
    ...listed('differences', differences, pathAndReason),
    ...moved(report),
  ]
}

/** How many, and the beginning of them; nothing of none. */
function listed<T>(name: string, list: unknown, text: (one: T) => string): string[] {
  if (!Array.isArray(list) || list.length === 0) return []
  return [
    `${name}: ${list.length}`,
    ...list.slice(0, SHOWN).map((one) => `  ${text(one as T)}`),
    ...(list.length > SHOWN ? [`  and ${list.length - SHOWN} more (--json shows all)`] : []),
  ]
}

function countsText(counts: Report): string {
  const parts = COUNTED.flatMap(([name, ...words]) =>
    Number(counts[name] ?? 0) > 0 ? [numbered(counts[name], ...words)] : [],
  )
  const size = typeof counts.bytes === 'number' ? [sizeText(counts.bytes)] : []
  return [...parts, ...size].join(', ')
}

const pathAndReason = ({ path, reason }: Report): string => `${path}: ${reason}`

/** An object is named below what was verified, or by its whole path. */
const inside = (path: unknown, object: unknown): string =>
  String(object).startsWith(String(path)) ? String(object) : `${path}: ${object}`

const numbered = (count: unknown, one: string, many: string): string => `${count} ${count === 1 ? one : many}`
const objectsText = (count: unknown): string => numbered(count, 'object', 'objects')
const wrongText = (count: unknown): string =>
  count === 0 ? 'nothing wrong' : numbered(count, 'thing wrong', 'things wrong')

const reasonsText = (reasons: unknown): string => (isEmpty(reasons) ? '' : ` (${[reasons].flat().join(', ')})`)

const sizeText = (bytes: unknown): string => bytesText(Number(bytes))

const isReport = (value: unknown): value is Report =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const reportsIn = (list: unknown): Report[] => (Array.isArray(list) ? list.filter(isReport) : [])

const isEmpty = (list: unknown): boolean => !Array.isArray(list) || list.length === 0
