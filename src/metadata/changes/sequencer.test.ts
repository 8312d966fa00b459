import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { eachDatabase, makePostgres, skipReason } from '../../../test/helpers/databases.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import type { MetadataDatabase, Transaction } from '../database.ts'
import { appendChanges } from './change-log.ts'
import { headSeq } from './change-numbers.ts'
import { changedPaths } from './change-spans.ts'
import { numberChanges, startSequencer } from './sequencer.ts'

const LANES = { content: [1, 1, 1, 1], metadata: [1, 1, 1, 1] } as const
const append = (trx: Transaction, path: string) =>
  appendChanges(trx, [{ repoId: 1, path, op: 1, origin: 0, viaLink: null, at: 1, before: undefined, after: LANES }])

/** What a link does: takes the head, lists up to it, remembers it. */
function createCursor(db: MetadataDatabase) {
  let from = 0
  return async (): Promise<string[]> => {
    const to = await headSeq(db.read, 1)
    const paths = await changedPaths(db.read, 1, { from, to, ranges: [EVERY_PATH] })
    from = to
    return paths
  }
}

eachDatabase('change numbers', (make) => {
  it('given 200 transactions by 8 writers and numbering by two, when a cursor follows, then it sees each change once', async () => {
    await using db = await make()
    const follow = createCursor(db)
    const seen: string[] = []
    let next = 0
    let writing = true
    const write = async () => {
      while (next < 200) {
        const path = `/${next++}`
        await db.transact((trx) => append(trx, path))
      }
    }
    // On SQLite reads are done at once: the disk, for which a commit waits, must have its turn.
    const number = async () => {
      for (; writing; await setImmediate()) await numberChanges(db)
    }
    const read = async () => {
      for (; writing; await setImmediate()) seen.push(...(await follow()))
    }
    const others = [number(), number(), read()]
    await Promise.all(Array.from({ length: 8 }, write))
    writing = false
    await Promise.all(others)
    await numberChanges(db)
    seen.push(...(await follow()))
    assert.equal(seen.length, 200)
    assert.equal(new Set(seen).size, 200)
  })
})

describe('sequencer on PostgreSQL', { skip: skipReason() }, () => {
  it('given a transaction that began first and commits last, when a cursor has passed the other one, then it still sees it', async () => {
    await using db = await makePostgres()
    const follow = createCursor(db)
    const inserted = Promise.withResolvers<void>()
    const mayCommit = Promise.withResolvers<void>()
    const slow = db.transact(async (trx) => {
      await append(trx, '/slow')
      inserted.resolve()
      await mayCommit.promise
    })
    await inserted.promise
    await db.transact((trx) => append(trx, '/fast'))
    assert.equal(await numberChanges(db), 1)
    assert.deepEqual(await follow(), ['/fast'])
    mayCommit.resolve()
    await slow
    assert.equal(await numberChanges(db), 1)
    assert.deepEqual(await follow(), ['/slow'])
  })

  it('given changes not yet numbered, when the sequencer runs, then they are numbered in order of their ids', async () => {
    await using db = await makePostgres()
    const clock = manualClock()
    const stop = new AbortController()
    for (const path of ['/c', '/a', '/b']) await db.transact((trx) => append(trx, path))
    const running = startSequencer(db, clock, 20, assert.ifError, stop.signal)
    await clock.untilSleeping()
    stop.abort()
    await running
    const rows = await db.read.selectFrom('change_log').select(['path', 'seq']).orderBy('seq').execute()
    assert.deepEqual(rows, [
      { path: '/c', seq: 1 },
      { path: '/a', seq: 2 },
      { path: '/b', seq: 3 },
    ])
  })

  it('given a database that fails, when the sequencer runs, then it tells the error and goes on after a pause', async () => {
    await using db = await makePostgres()
    const clock = manualClock()
    const stop = new AbortController()
    const errors: unknown[] = []
    let broken = true
    const flaky = {
      ...db,
      transact: ((work) => (broken ? Promise.reject(new Error('down')) : db.transact(work))) as typeof db.transact,
    }
    await db.transact((trx) => append(trx, '/a'))
    const running = startSequencer(flaky, clock, 20, (error) => errors.push(error), stop.signal)
    await clock.untilSleeping()
    assert.equal(await headSeq(db.read, 1), 0)
    broken = false
    await clock.advance(1_000)
    await clock.untilSleeping()
    stop.abort()
    await running
    assert.equal(await headSeq(db.read, 1), 1)
    assert.equal(errors.length, 1)
  })
})
