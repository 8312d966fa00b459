import assert from 'node:assert/strict'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import type { Api } from './api.ts'
import { listRecords, overviewOf, type Page } from './replication-calls.ts'

const TASKS = '/replication/api/task'
const PAGE = 1_000

interface SeenDetail {
  readonly artifactName: string
  readonly status: string
  readonly errorReason: string | null
}
/** What all records of one task say together. */
export interface TaskStory {
  readonly records: readonly RecordInfo[]
  /** How often a record says of a path that it was written. */
  readonly written: ReadonlyMap<string, number>
}

/**
 * Reads every record of a task with all its details. @throws when a record counts what its details do not show, shows a detail twice, or has
 * failures. @param open a REAL_TIME record stays RUNNING.
 */
export async function storyOf(
  api: Api,
  key: string,
  open: 'may-run' | 'ended',
  signal: AbortSignal,
): Promise<TaskStory> {
  const records = await listRecords(api, key, signal)
  const written = new Map<string, number>()
  for (const record of records) {
    const about = `record ${record.id} of task ${key}`
    if (open === 'ended') assert.notEqual(record.status, 'RUNNING', about)
    const details = await detailsOfRecord(api, record.id, signal)
    const names = details.map(({ artifactName }) => artifactName)
    assert.equal(new Set(names).size, names.length, `${about} has a detail twice`)
    const overview = await overviewOf(api, record.id, signal)
    const shown = { success: 0, failed: 0 }
    for (const { artifactName, status, errorReason } of details) {
      if (status === 'FAILED') assert.fail(`${about}: ${artifactName}: ${errorReason}`)
      shown.success++
      written.set(artifactName, (written.get(artifactName) ?? 0) + 1)
    }
    assert.deepEqual({ success: overview.success, failed: overview.failed }, shown, about)
  }
  return { records, written }
}

async function detailsOfRecord(api: Api, recordId: string, signal: AbortSignal): Promise<SeenDetail[]> {
  const details: SeenDetail[] = []
  for (let page = 1; ; page++) {
    const path = `${TASKS}/record/detail/page/${recordId}?pageNumber=${page}&pageSize=${PAGE}`
    const { records, totalPages } = await api.call<Page<SeenDetail>>('GET', path, undefined, signal)
    details.push(...records)
    if (page >= totalPages) return details
  }
}
