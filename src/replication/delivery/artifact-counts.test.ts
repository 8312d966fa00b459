import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { DetailState } from '../../metadata/replication/record-details.ts'
import { countArtifacts } from './artifact-counts.ts'
import { type DetailPlace, finishedDetail } from './detail-rows.ts'
import type { Outcome } from './outcome.ts'
import { UNKNOWN, type WorkItem } from './work-item.ts'

const object = {
  localProject: 'p',
  localRepo: 'r',
  remoteProject: 'p',
  remoteRepo: 'r',
  repoType: 'GENERIC',
  paths: undefined,
}
const spec = { recordId: 'record', conflictStrategy: 'SKIP' } as DetailPlace['spec']
const place: DetailPlace = { spec, object, linkId: 1, executeType: 'DELTA' }
const outcome = (path: string, result: Outcome['result'], conflict = false): Outcome => ({
  item: { kind: 'file', path, file: { digest: 'sha256:0', sizeBytes: 1 }, expect: UNKNOWN } as unknown as WorkItem,
  ...{ result, conflict, attempts: 1, blob: result === 'written' ? 'sent' : 'not-sent', startedAt: 0, endedAt: 0 },
})

/** A record that hears of these batches one after the other. */
function record(...batches: readonly Outcome[][]) {
  const details = new Map<string, DetailState>()
  const sums = { ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0 }
  for (const batch of batches) {
    const { counters, rows } = countArtifacts(place, batch, details, 0)
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counters[name]
    for (const row of rows) details.set(row.id, row)
  }
  return { ...sums, rows: details.size }
}
const counted = (changes: Partial<ReturnType<typeof record>>) => ({
  ...{ ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, rows: 0 },
  ...changes,
})

it('given an artifact that is written again and again, when counted, then it counts once', () => {
  const written = outcome('/a', 'written')
  assert.deepEqual(record([written], [written], [written]), counted({ ok: 1, rows: 1 }))
})
it('given one that fails and gets there later, when counted, then it is a success, and one row that says how often it was tried', () => {
  const [failed, written] = [outcome('/a', 'failed'), outcome('/a', 'written')]
  assert.deepEqual(record([failed], [failed], [written]), counted({ ok: 1, rows: 1 }))
  const known = new Map([[finishedDetail(place, failed).id, { status: 'FAILED', conflictStrategy: null, attempts: 4 }]])
  assert.equal(countArtifacts(place, [written], known, 0).rows[0]?.attempts, 5)
})
it('given one that failed and is found equal, when counted, then it is a success', () => {
  assert.deepEqual(record([outcome('/a', 'failed')], [outcome('/a', 'unchanged')]), counted({ ok: 1, rows: 1 }))
})
it('given a conflict that goes away, when counted, then it counts as what it has become', () => {
  const kept = outcome('/a', 'kept', true)
  assert.deepEqual(record([kept]), counted({ skipped: 1, conflict: 1, rows: 1 }))
  assert.deepEqual(record([kept], [outcome('/a', 'written')]), counted({ ok: 1, rows: 1 }))
})
it('given one that is equal, when counted, then it counts without a row, and not at all when there is one', () => {
  assert.deepEqual(record([outcome('/a', 'unchanged')]), counted({ skipped: 1, unchanged: 1 }))
  assert.deepEqual(record([outcome('/a', 'written')], [outcome('/a', 'unchanged')]), counted({ ok: 1, rows: 1 }))
})
