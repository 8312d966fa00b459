import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '../../test/helpers/api.ts'

interface TaskInfo {
  readonly state: string
  readonly result: string | null
  readonly errorReason: string | null
  readonly artifactLocation: string | null
}

const BACKUPS = '/job/api/job/backup'
const POLL_MS = 10

/** Makes a task, runs it, and waits for its end. @throws Error unless it is a SUCCESS. */
export async function runBackupTask(api: Api, body: object, signal: AbortSignal): Promise<TaskInfo> {
  const id = await api.call<string>('POST', BACKUPS, body, signal)
  await api.call('POST', `${BACKUPS}/execute/${id}`, undefined, signal)
  for (;;) {
    const task = await api.call<TaskInfo>('GET', `${BACKUPS}/task/${id}`, undefined, signal)
    if (task.state === 'FINISHED') {
      if (task.result !== 'SUCCESS') throw new Error(`The task ended as ${task.result}: ${task.errorReason}`)
      return task
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

export const EVERYTHING = { commonData: false, projects: [{ projectRegex: '*' }] }
