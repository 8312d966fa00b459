import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeSqlite } from '../../../test/helpers/databases.ts'
import { hasCode } from '../../core/errors.ts'
import { createDurability, type Log } from './sqlite-durability.ts'

/** A disk whose syncs end when they are told to. */
function slowDisk() {
  const waiting: PromiseWithResolvers<void>[] = []
  const log: Log = {
    datasync: () => {
      const sync = Promise.withResolvers<void>()
      waiting.push(sync)
      return sync.promise
    },
    close: async () => {},
  }
  const begun = async (count: number) => {
    while (waiting.length < count) await new Promise((next) => setImmediate(next))
    return waiting[count - 1]!
  }
  return { durability: createDurability('x', async () => log), begun, syncs: () => waiting.length }
}

describe('durability of commits on SQLite', () => {
  it('given commits while a sync is under way, when it has ended, then one more sync serves all of them', async () => {
    const { durability, begun, syncs } = slowDisk()
    const ended: string[] = []
    const note = (name: string) => durability.settled().then(() => ended.push(name))
    const all = [note('first')]
    const one = await begun(1)
    all.push(note('second'), note('third'))
    one.resolve()
    const two = await begun(2)
    assert.deepEqual(ended, ['first'])
    all.push(note('fourth'))
    two.resolve()
    const three = await begun(3)
    assert.deepEqual(ended, ['first', 'second', 'third'])
    three.resolve()
    await Promise.all(all)
    assert.equal(syncs(), 3)
  })

  it('given a sync that fails, when asked then or later, then everybody hears it, and the disk is believed no more', async () => {
    const { durability, begun, syncs } = slowDisk()
    const first = durability.settled()
    const second = begun(1).then(() => durability.settled())
    ;(await begun(1)).reject(new Error('EIO'))
    for (const asked of [first, second, durability.settled()]) {
      await assert.rejects(asked, (error) => hasCode(error, 'STORAGE_UNAVAILABLE'))
    }
    assert.throws(() => durability.check(), /restart the server/)
    assert.equal(syncs(), 1)
    await durability.close()
  })

  it('given a real database, when many commit at once, then all of them are there', async () => {
    await using db = await makeSqlite()
    const keys = Array.from({ length: 200 }, (_, n) => `key ${n}`)
    await Promise.all(
      keys.map((key) => db.transact((trx) => trx.insertInto('setting').values({ key, value: '' }).execute())),
    )
    const rows = await db.read.selectFrom('setting').select('key').where('key', 'like', 'key %').execute()
    assert.equal(rows.length, keys.length)
  })
})
