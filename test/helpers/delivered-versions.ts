import assert from 'node:assert/strict'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import type { Api } from './api.ts'
import type { ChangedFiles } from './changing-files.ts'
import { listRecords, overviewOf, type Page } from './replication-calls.ts'

const TASKS = '/replication/api/task'
const PAGE = 1_000

interface SeenDetail {
  readonly artifactName: string
  /** Null or empty: a deletion. */
  readonly sha256: string | null
  readonly status: string
  readonly errorReason: string | null
}
export interface ToldStory {
  readonly records: readonly RecordInfo[]
  readonly details: number
  /** Reasons of artifacts and records that failed, each once. */
  readonly reasons: readonly string[]
}

/**
 * Reads all records of a task that is at rest. @throws when a record has not ended, counts what its details do not show, shows an artifact
 * twice, when a version that was delivered has not exactly one detail over all records, or when one is told that never was.
 */
export async function assertTold(
  api: Api,
  key: string,
  { live, versions }: ChangedFiles,
  signal: AbortSignal,
): Promise<ToldStory> {
  const records = await listRecords(api, key, signal)
  const told = new Map<string, (string | null)[]>()
  const reasons = new Set<string>()
  let count = 0
  // Oldest first.
  for (const record of [...records].reverse()) {
    const about = `record ${record.id}`
    assert.notEqual(record.status, 'RUNNING', about)
    if (record.errorReason !== null) reasons.add(record.errorReason)
    const details = await detailsOfRecord(api, record.id, signal)
    const names = details.map(({ artifactName }) => artifactName)
    assert.equal(new Set(names).size, names.length, `${about} has a detail twice`)
    const overview = await overviewOf(api, record.id, signal)
    const failed = details.filter(({ status }) => status === 'FAILED')
    assert.deepEqual(
      { success: overview.success, failed: overview.failed },
      { success: details.length - failed.length, failed: failed.length },
      `${about} counts what its details show`,
    )
    count += details.length
    for (const { artifactName, sha256, status, errorReason } of details) {
      assert.ok(status === 'SUCCESS' || status === 'FAILED', `${about}: ${artifactName} is ${status}`)
      if (status === 'FAILED') reasons.add(errorReason ?? 'no reason')
      else told.set(artifactName, [...(told.get(artifactName) ?? []), sha256 || null])
    }
  }
  for (const [path, digests] of told) {
    const contents = digests.filter((sha256) => sha256 !== null)
    assert.equal(new Set(contents).size, contents.length, `${path}: a version has two details`)
    const unknown = contents.filter((sha256) => !versions.get(path)?.includes(sha256))
    assert.deepEqual(unknown, [], `${path}: told, but never was`)
  }
  const untold = [...live].filter(([path, sha256]) => told.get(path)?.at(-1) !== sha256).map(([path]) => path)
  assert.deepEqual(untold, [], 'what is there has its detail')
  for (const [path, digests] of told) {
    if (live.has(path)) continue
    assert.equal(digests.at(-1), null, `${path}: was delivered and deleted, and its deletion has no detail`)
  }
  return { records, details: count, reasons: [...reasons] }
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
