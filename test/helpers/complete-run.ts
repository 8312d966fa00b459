import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { wrongDownloads } from '../../demo/compare.ts'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import type { Api } from './api.ts'
import { type Detail, listFiles, overviewOf, type Page } from './replication-calls.ts'

const POLL_MS = 100
const TASKS = '/replication/api/task'
const PAGE = 1_000

/** What is known of a run from outside when it has ended. */
export interface EndedRun {
  readonly key: string
  readonly record: RecordInfo
}
export interface Copied {
  readonly a: Api
  readonly b: Api
  readonly repository: string
  /** All that was put into the source: digests by path. */
  readonly sent: ReadonlyMap<string, string>
  /** Paths that the target holds besides. */
  readonly foreign?: readonly string[]
  /** `all`: every file's bytes are fetched from the target and hashed here, besides the digests that it tells. */
  readonly downloads?: 'all'
}

/** Waits until the first run of a task has ended. @throws when that takes longer, or when there is a second record. */
export async function endOfRun(api: Api, key: string, withinMs: number, signal: AbortSignal): Promise<RecordInfo> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const records = await api.call<RecordInfo[]>('GET', `${TASKS}/record/list/${key}`, undefined, signal)
    const [newest] = records
    if (newest !== undefined && newest.status !== 'RUNNING') {
      assert.equal(records.length, 1, 'one execution, one record')
      return newest
    }
    assert.ok(performance.now() < deadline, `the run did not end within ${withinMs / 1000} s`)
    await sleep(POLL_MS, undefined, { signal })
  }
}

/** Ended SUCCESS, contents equal, one detail for each file and none twice, counters exact. */
export async function assertComplete(copied: Copied, { key, record }: EndedRun, signal: AbortSignal): Promise<void> {
  const { a, b, sent, foreign = [] } = copied
  assert.equal(record.status, 'SUCCESS', record.errorReason ?? '')
  await assertContents(copied, foreign, signal)
  const files = sent.size
  assert.deepEqual(
    { ...(await overviewOf(a, record.id, signal)), fileSuccess: 0, fileFailed: 0 },
    { success: files, failed: 0, conflict: 0, skip: 0, fileSuccess: 0, fileFailed: 0 },
  )
  const details = await allDetails(a, record.id, signal)
  assert.equal(details.length, files, 'one detail for each file')
  assert.deepEqual(new Set(details.map(({ artifactName }) => artifactName)), new Set(sent.keys()))
  assert.deepEqual(
    details.filter(({ status }) => status !== 'SUCCESS'),
    [],
  )
  const task = await a.call<{ executionTimes: number; lastExecutionStatus: string }>(
    'GET',
    `${TASKS}/info/${key}`,
    undefined,
    signal,
  )
  assert.deepEqual([task.executionTimes, task.lastExecutionStatus], [1, 'SUCCESS'])
  if (copied.downloads === undefined) return
  assert.deepEqual(await wrongContents(b, copied.repository, sent, signal), [])
}

/** Fetches every file and hashes what comes: a line for each whose bytes are not those of its digest. */
export function wrongContents(
  api: Api,
  repository: string,
  digests: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<string[]> {
  const wanted = [...digests].map(([path, sha256]) => ({ path, sha256, sizeBytes: 0, metadata: {} }))
  return wrongDownloads(api, repository, wanted, signal)
}

async function assertContents(copied: Copied, foreign: readonly string[], signal: AbortSignal): Promise<void> {
  const { a, b, repository, sent } = copied
  assert.deepEqual(await contentsOf(a, repository, signal), sent)
  const target = await contentsOf(b, repository, signal)
  for (const path of foreign) assert.ok(target.delete(path), path)
  assert.deepEqual(target, sent)
}

/** Digests by path, as a server tells them. */
export async function contentsOf(api: Api, repository: string, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const node of listFiles(api, repository, signal)) found.set(node.fullPath, node.sha256!)
  return found
}

async function allDetails(api: Api, recordId: string, signal: AbortSignal): Promise<Detail[]> {
  const details: Detail[] = []
  for (let page = 1; ; page++) {
    const path = `${TASKS}/record/detail/page/${recordId}?pageNumber=${page}&pageSize=${PAGE}`
    const { records, totalPages } = await api.call<Page<Detail>>('GET', path, undefined, signal)
    details.push(...records)
    if (page >= totalPages) return details
  }
}
