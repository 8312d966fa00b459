import { CliFailure, EXIT } from './cli-failure.ts'
import type { ServerApi } from './server-api.ts'
import type { Page } from './task-names.ts'

/** A task of backup or restore as the server shows it; dates are date-times of the server. */
export interface BackupInfo {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly state: 'PENDING' | 'RUNNING' | 'FINISHED'
  readonly result: string | null
  readonly errorReason: string | null
  readonly storeLocation: string
  readonly artifactLocation: string | null
  readonly content: object
  readonly backupSetting: { readonly executionStrategy: string }
  readonly startDate: string | null
  readonly endDate: string | null
  readonly createdDate: string
  readonly nextExecutionDate: string | null
  readonly progress?: BackupProgress | null
  readonly report?: Readonly<Record<string, unknown>> | null
}
export interface BackupProgress {
  readonly phase: string
  readonly repos: number
  readonly nodes: number
  readonly versions: number
  readonly bytes: number
  readonly success: number
  readonly failed: number
  readonly skipped: number
  readonly totalBytes: number | null
  readonly totalNodes: number | null
  readonly etaSeconds: number | null
}

export const BACKUPS = '/job/api/job/backup'
const ID = /^[0-9a-f]{24}$/
const PAGE_SIZE = 1_000
const PARAMETER_INVALID = 250105

/** Newest first. */
export async function listBackups(server: ServerApi): Promise<BackupInfo[]> {
  const tasks: BackupInfo[] = []
  for (let pageNumber = 1; ; pageNumber++) {
    const path = `${BACKUPS}/tasks?pageNumber=${pageNumber}&pageSize=${PAGE_SIZE}`
    const page = await server.call<Page<BackupInfo>>('GET', path)
    tasks.push(...page.records)
    if (pageNumber >= page.totalPages) return tasks
  }
}

export const getBackup = (server: ServerApi, id: string): Promise<BackupInfo> =>
  server.call('GET', `${BACKUPS}/task/${encodeURIComponent(id)}`)

/** The newest task of that name, or the one with that id. @throws CliFailure when there is none. */
export async function backupNamed(server: ServerApi, named: string, type?: string): Promise<BackupInfo> {
  if (ID.test(named)) return getBackup(server, named)
  const found = (await listBackups(server)).find(
    (one) => one.name === named && (type === undefined || one.type === type),
  )
  if (found === undefined) throw new CliFailure(`There is no backup task "${named}"`, EXIT.notFound)
  return found
}

/**
 * Runs `work` on a place by its path on the server; when nothing is there and a backup has that name, on the place where it stores.
 * @throws CliFailure.
 */
export async function inPlaceOf<T>(server: ServerApi, named: string, work: (place: string) => Promise<T>): Promise<T> {
  try {
    return await work(named)
  } catch (error) {
    if (!(error instanceof CliFailure) || error.code !== PARAMETER_INVALID || /[/\\]/.test(named)) throw error
    const task = (await listBackups(server)).find(({ name, type }) => name === named && type === 'DATA_BACKUP')
    if (task === undefined) throw error
    return work(task.storeLocation)
  }
}

/** What a backup made last, by its name or id; anything with a slash or a backslash is a location itself. @throws CliFailure. */
export async function locationOf(server: ServerApi, named: string): Promise<string> {
  if (/[/\\]/.test(named)) return named
  const { artifactLocation, name } = await backupNamed(server, named, 'DATA_BACKUP')
  if (artifactLocation === null) throw new CliFailure(`Backup ${name} has made nothing yet`, EXIT.failed)
  return artifactLocation
}
