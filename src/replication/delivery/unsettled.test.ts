import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { claimShard, createShards, failOpenShards } from '../../metadata/replication/exec-shards.ts'
import { runNumberOf } from '../runs/link-key.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { Outcome } from './outcome.ts'
import { arrivedBefore, noteCounted, openUnsettled } from './unsettled.ts'
import type { WorkItem } from './work-item.ts'

const LINK = 1
const specOf = (recordId: string) => ({ recordId, run: runNumberOf(recordId), conflictStrategy: 'SKIP' }) as RunSpec
const arrived = (path: string, arrivedBy: Outcome['arrivedBy'], content = path): Outcome => ({
  item: { kind: 'file', path, file: { path, digest: digestOf(content), sizeBytes: 1 } } as unknown as WorkItem,
  ...{ result: 'written', conflict: true, blob: 'not-sent', attempts: 1, startedAt: 0, endedAt: 0, arrivedBy },
})
const resultsOf = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ item, result, conflict }) => [item.path, result, conflict])

/** A run that came to `pos` of [/a, /z) and was given up. */
async function giveUp(db: MetadataDatabase, recordId: string, pos: string): Promise<void> {
  await db.transact(async (trx) => {
    await createShards(trx, recordId, LINK, [{ shardNo: 1, kind: 'range', lo: '/a', hi: '/z', files: 1, bytes: 1 }])
    await claimShard(trx, recordId, LINK, { owner: 'o', now: 0, leaseMs: 1 })
    await trx.updateTable('exec_shard').set({ pos }).where('record_id', '=', recordId).execute()
    await failOpenShards(trx, recordId, LINK)
  })
}
const count = (db: MetadataDatabase, outcomes: readonly Outcome[]) =>
  db.transact((trx) => noteCounted(trx, LINK, outcomes))
const openFor = (db: MetadataDatabase, recordId: string, followed?: { run: number; paths: ReadonlySet<string> }) =>
  openUnsettled({ db, linkId: LINK, spec: specOf(recordId), followed })

eachDatabase('settling what earlier runs brought over', (make) => {
  it('given places of a run that was given up, when its artifacts are found there, then those behind its checkpoint count, and no others', async () => {
    await using db = await make()
    await giveUp(db, 'one', '/m')
    const one = runNumberOf('one')
    const unsettled = await openFor(db, 'two')
    assert.deepEqual(unsettled.runs, [one])
    const outcomes = [arrived('/c', one), arrived('/n', one), arrived('/o', 99), arrived('/zz', one)]
    const settled = await unsettled.settle(outcomes)
    assert.deepEqual(resultsOf(settled), [
      ['/c', 'unchanged', false],
      ['/n', 'written', true],
      ['/o', 'unchanged', false],
      ['/zz', 'unchanged', false],
    ])
    assert.equal(arrivedBefore(settled, specOf('two')), 1)
  })

  it('given a run that counted some of them and was given up as well, when they are found again, then neither they count nor what it wrote before its checkpoint', async () => {
    await using db = await make()
    await giveUp(db, 'one', '/b')
    const [one, two] = [runNumberOf('one'), runNumberOf('two')]
    const outcomes = [arrived('/n', one), arrived('/o', one), arrived('/p', one)]
    await count(db, await (await openFor(db, 'two')).settle(outcomes.slice(0, 2)))
    await giveUp(db, 'two', '/o')
    const again = await (await openFor(db, 'three')).settle([...outcomes, arrived('/c', two), arrived('/q', two)])
    assert.deepEqual(resultsOf(again), [
      ['/n', 'unchanged', false],
      ['/o', 'unchanged', false],
      ['/p', 'written', true],
      ['/c', 'unchanged', false],
      ['/q', 'written', true],
    ])
  })

  it('given a record that is given up, goes on and counts what it left, when the next one finds that, then it counts no more', async () => {
    await using db = await make()
    await giveUp(db, 'one', '/b')
    const one = runNumberOf('one')
    const known = [arrived('/n', 'this run'), { ...arrived('/o', undefined), attempts: 2 }]
    const settled = await (await openFor(db, 'one')).settle(known)
    await count(db, settled)
    assert.equal(arrivedBefore(settled, specOf('one')), 1)
    const outcomes = [arrived('/n', one), arrived('/o', one), arrived('/p', one)]
    assert.deepEqual(resultsOf(await (await openFor(db, 'two')).settle(outcomes)), [
      ['/n', 'unchanged', false],
      ['/o', 'unchanged', false],
      ['/p', 'written', true],
    ])
  })

  it('given what a follower left, when a comparison finds it, then those paths count, and no others', async () => {
    await using db = await make()
    const unsettled = await openFor(db, 'two', { run: 7, paths: new Set(['/x']) })
    assert.deepEqual(unsettled.runs, [7])
    const settled = await unsettled.settle([arrived('/x', 7), arrived('/y', 7), arrived('/z', 'this run')])
    assert.deepEqual(resultsOf(settled), [
      ['/x', 'written', true],
      ['/y', 'unchanged', false],
      ['/z', 'written', true],
    ])
  })
})
