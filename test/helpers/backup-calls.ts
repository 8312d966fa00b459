import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from './api.ts'

/** A task of backup or restore, as the server shows it. */
export interface BackupTaskInfo {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly state: 'PENDING' | 'RUNNING' | 'FINISHED'
  readonly result: 'SUCCESS' | 'PARTIAL' | 'FAILED' | 'CANCELLED' | null
  readonly errorReason: string | null
  readonly artifactLocation: string | null
  readonly progress: Readonly<Record<string, unknown>> | null
  readonly report: Readonly<Record<string, unknown>> | null
}

export const BACKUPS = '/job/api/job/backup'
const POLL_MS = 20
const RUN_WITHIN_MS = 240_000

/** All repositories, without users. */
export const ALL_FILES = { commonData: false, projects: [{ projectRegex: '*' }] }

export const createBackup = (api: Api, body: object, signal: AbortSignal): Promise<string> =>
  api.call<string>('POST', BACKUPS, body, signal)

export const getBackup = (api: Api, id: string, signal: AbortSignal): Promise<BackupTaskInfo> =>
  api.call<BackupTaskInfo>('GET', `${BACKUPS}/task/${id}`, undefined, signal)

/** Makes a task and starts it. @returns its id. */
export async function startBackup(api: Api, body: object, signal: AbortSignal): Promise<string> {
  const id = await createBackup(api, body, signal)
  await api.call('POST', `${BACKUPS}/execute/${id}`, undefined, signal)
  return id
}

export async function endOfBackup(api: Api, id: string, signal: AbortSignal): Promise<BackupTaskInfo> {
  for (const until = performance.now() + RUN_WITHIN_MS; performance.now() < until; ) {
    const task = await getBackup(api, id, signal)
    if (task.state === 'FINISHED') return task
    await sleep(POLL_MS, undefined, { signal })
  }
  throw new Error(`Task ${id} has not ended after ${RUN_WITHIN_MS} ms`)
}

/** Makes a task, runs it, and waits for its end, which must be SUCCESS. */
export async function completeBackup(api: Api, body: object, signal: AbortSignal): Promise<BackupTaskInfo> {
  const ended = await endOfBackup(api, await startBackup(api, body, signal), signal)
  assert.equal(ended.result, 'SUCCESS', `${ended.type}: ${ended.errorReason} ${JSON.stringify(ended.report)}`)
  return ended
}

/** Waits until no task says RUNNING: a server that comes back ends what died with it. */
export async function noneRunning(api: Api, signal: AbortSignal): Promise<void> {
  for (const until = performance.now() + RUN_WITHIN_MS; performance.now() < until; ) {
    const path = `${BACKUPS}/tasks?state=RUNNING`
    const { totalRecords } = await api.call<{ totalRecords: number }>('GET', path, undefined, signal)
    if (totalRecords === 0) return
    await sleep(POLL_MS, undefined, { signal })
  }
  throw new Error('A task is still RUNNING')
}
