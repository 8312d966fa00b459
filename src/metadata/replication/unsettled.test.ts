import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { MetadataDatabase } from '../database.ts'
import { putPlannedPaths } from './exec-paths.ts'
import { claimShard, createShards, failOpenShards, failOpenShardsOfRecord, type NewShard } from './exec-shards.ts'
import {
  addSettled,
  countSettled,
  forgetUnsettled,
  listSettled,
  listUnsettledPlaces,
  noteSettled,
} from './unsettled.ts'

const LEASE = { owner: 'o', now: 0, leaseMs: 1_000 }
const shard = (shardNo: number, kind: NewShard['kind'], lo: string, hi: string | null): NewShard => ({
  ...{ shardNo, kind, lo, hi, files: 1, bytes: 1 },
})

/** Shards of a record: those that somebody claimed are at these places by now. */
async function begun(db: MetadataDatabase, recordId: string, positions: readonly (string | null)[]): Promise<void> {
  await db.transact(async (trx) => {
    const shards = [
      shard(1, 'range', '/a', '/m'),
      shard(2, 'range', '/m', null),
      shard(3, 'paths', '/p', null),
      shard(4, 'kept', '/q', null),
    ]
    await createShards(trx, recordId, 1, shards)
    const ofShard = { recordId, linkId: 1, shardNo: 3 }
    const ends = { path: '/p2', expect: null, ifGone: 'delete' } as const
    await putPlannedPaths(trx, ofShard, [{ path: '/p1', expect: null }, ends, { path: '/p3', expect: null }])
    for (const pos of positions) {
      const { shardNo } = (await claimShard(trx, recordId, 1, LEASE))!
      await trx.updateTable('exec_shard').set({ pos }).where('shard_no', '=', shardNo).execute()
    }
  })
}

eachDatabase('what a run that was given up leaves unsettled', (make) => {
  it('given shards at work, at their beginning and never claimed, when given up, then what lies behind the checkpoints is kept', async () => {
    await using db = await make()
    await begun(db, 'one', ['/c', null, '/p1', null])
    await db.transact((trx) => failOpenShards(trx, 'one', 1))
    const { ranges, paths } = await listUnsettledPlaces(db.read, 1)
    assert.deepEqual(ranges, [
      { recordId: 'one', lo: '/c\u0001', hi: '/m' },
      { recordId: 'one', lo: '/m', hi: null },
    ])
    assert.deepEqual(paths, [
      { recordId: 'one', path: '/p2', deletes: true },
      { recordId: 'one', path: '/p3', deletes: false },
    ])
  })

  it('given a run in which nobody claimed anything, when it is stopped, then nothing is kept', async () => {
    await using db = await make()
    await begun(db, 'one', [])
    await db.transact((trx) => failOpenShardsOfRecord(trx, 'one'))
    assert.deepEqual(await listUnsettledPlaces(db.read, 1), { ranges: [], paths: [] })
  })

  it('given a shard of many paths, when given up, then those that may be under way are kept, and no others', async () => {
    await using db = await make()
    const paths = Array.from({ length: 3_010 }, (_, n) => ({ path: `/${String(n).padStart(4, '0')}`, expect: null }))
    await db.transact(async (trx) => {
      await createShards(trx, 'one', 1, [shard(1, 'paths', '/', null)])
      await putPlannedPaths(trx, { recordId: 'one', linkId: 1, shardNo: 1 }, paths)
      await claimShard(trx, 'one', 1, LEASE)
      await trx.updateTable('exec_shard').set({ pos: '/0004' }).execute()
      await failOpenShards(trx, 'one', 1)
    })
    const kept = (await listUnsettledPlaces(db.read, 1)).paths.map(({ path }) => path)
    assert.deepEqual([kept.length, kept[0], kept.at(-1)], [3_000, '/0005', '/3004'])
  })

  it('given two runs that were given up at the same places, when listed, then each has its own, until the link is done', async () => {
    await using db = await make()
    for (const record of ['one', 'two']) {
      await begun(db, record, [null, null, null])
      await db.transact((trx) => failOpenShardsOfRecord(trx, record))
    }
    const { ranges, paths } = await listUnsettledPlaces(db.read, 1)
    assert.deepEqual([ranges.length, paths.length], [4, 6])
    const settled = [{ path: '/p1', run: 7 }]
    const others = Array.from({ length: 40_000 }, (_, n) => ({ path: `/other/${n}`, run: 7 }))
    for (const count of [2, 3]) {
      await db.transact((trx) => noteSettled(trx, 1, [...settled, ...others]))
      await db.transact((trx) => addSettled(trx, 1, 'three', count))
    }
    const listed = await listSettled(db.read, 1, ['/p1', '/p2'])
    assert.deepEqual(
      listed.map((one) => ({ ...one })),
      settled,
    )
    assert.equal(await countSettled(db.read, 1, 'three'), 5)
    assert.equal(await countSettled(db.read, 1, 'one'), 0)
    await db.transact((trx) => forgetUnsettled(trx, [1]))
    assert.deepEqual(await listUnsettledPlaces(db.read, 1), { ranges: [], paths: [] })
    assert.deepEqual(await listSettled(db.read, 1, ['/p1', '/p2']), [])
  })
})
