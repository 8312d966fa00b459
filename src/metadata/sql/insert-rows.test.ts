import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { insertingRows, updatingRows } from './insert-rows.ts'

interface Setting {
  readonly name: string
  readonly value: string
}
const insertOnce = insertingRows<'setting', Setting, { key: string }>({
  into: 'setting',
  columns: { key: ['text', ({ name }) => name], value: ['text', ({ value }) => value] },
  onConflict: 'on conflict (key) do nothing',
  returning: 'key',
})
const replaceBlobs = insertingRows<'blob', { readonly sha256: Uint8Array; readonly size: number }>({
  into: 'blob',
  columns: {
    sha256: ['bytea', ({ sha256 }) => sha256],
    size: ['bigint', ({ size }) => size],
    created_at: ['bigint', () => 1],
    touched_at: ['bigint', () => 1],
    unneeded_since: ['bigint', ({ size }) => (size % 2 === 0 ? null : size)],
  },
  onConflict: 'on conflict (sha256) do update set size = excluded.size',
})
const rename = updatingRows<Setting, { key: string; value: string }>({
  columns: { name: ['text', ({ name }) => name], value: ['text', ({ value }) => value] },
  statement: 'update setting set value = v.value from v where setting.key = v.name',
})

const numbered = (count: number): Setting[] =>
  Array.from({ length: count }, (_, at) => ({ name: `k${String(at).padStart(5, '0')}`, value: `v${at}` }))

eachDatabase('rows in a text made once', (make) => {
  for (const count of [0, 1, 3, 64, 85, 149, 2_001]) {
    it(`given ${count} rows, when they are inserted, then all are there, and returned in their order`, async () => {
      await using db = await make()
      const rows = numbered(count)
      const written = await db.transact((trx) => insertOnce(trx, rows))

      assert.equal(written.affected, count)
      assert.deepEqual(
        written.returned.map(({ key }) => key),
        rows.map(({ name }) => name),
      )
      const there = await db.read
        .selectFrom('setting')
        .select(['key as name', 'value'])
        .where('key', 'like', 'k0%')
        .orderBy('key')
        .execute()
      assert.deepEqual(
        there.map((row) => ({ ...row })),
        rows,
      )
    })
  }

  it('given rows of which one is there, when they are inserted, then the others go in and are counted', async () => {
    await using db = await make()
    await db.transact((trx) => insertOnce(trx, numbered(100).slice(40, 41)))
    const { affected, returned } = await db.transact((trx) => insertOnce(trx, numbered(100)))
    assert.equal(affected, 99)
    assert.equal(returned.length, 99)
    assert.equal(
      returned.some(({ key }) => key === 'k00040'),
      false,
    )
  })

  it('given texts with signs of an array, when they are inserted, then they read back as they were', async () => {
    await using db = await make()
    const texts = ['', ' ', '"', '\\', '{a,b}', 'NULL', 'null', '\\x00', "it's", 'a\nb\tc', '😀 é', '"\\"\\\\"', '$1']
    await db.transact((trx) =>
      insertOnce(
        trx,
        texts.map((value, at) => ({ name: `t${10 + at}`, value })),
      ),
    )
    const there = await db.read
      .selectFrom('setting')
      .select('value')
      .where('key', 'like', 't%')
      .orderBy('key')
      .execute()
    assert.deepEqual(
      there.map(({ value }) => value),
      texts,
    )
  })

  it('given bytes, numbers and nulls, when they replace others, then they read back as they were', async () => {
    await using db = await make()
    const rows = Array.from({ length: 70 }, (_, at) => ({ sha256: Buffer.alloc(32, at), size: 2 ** 52 - at }))
    await db.transact((trx) => replaceBlobs(trx, rows))
    const { affected } = await db.transact((trx) =>
      replaceBlobs(
        trx,
        rows.slice(0, 2).map((row) => ({ ...row, size: 5 })),
      ),
    )

    assert.equal(affected, 2)
    const there = await db.read.selectFrom('blob').selectAll().orderBy('sha256').execute()
    assert.deepEqual(
      there.map(({ sha256, size, unneeded_since }) => [Buffer.from(sha256), size, unneeded_since]),
      rows.map(({ sha256, size }, at) => [sha256, at < 2 ? 5 : size, size % 2 === 0 ? null : size]),
    )
  })

  it('given rows, when a statement changes what they name, then it tells how many there were', async () => {
    await using db = await make()
    await db.transact((trx) => insertOnce(trx, numbered(80)))
    const { affected } = await db.transact((trx) =>
      rename(trx, [{ name: 'none', value: 'x' }, ...numbered(70).map(({ name }) => ({ name, value: 'other' }))]),
    )
    assert.equal(affected, 70)
    const others = await db.read.selectFrom('setting').select('key').where('value', '=', 'other').execute()
    assert.equal(others.length, 70)
  })
})
