import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { preparedQuery } from './prepared-query.ts'

eachDatabase('prepared queries', (make) => {
  it('given a query with values, when it runs again with others, then it is built once and answers for those it was given', async () => {
    await using db = await make()
    let built = 0
    const settingOf = preparedQuery<{ key: string; floor: string }, { value: string }>((reader, { key, floor }) => {
      built++
      return reader.selectFrom('setting').select('value').where('key', '=', key).where('value', '>', floor)
    })
    await db.transact((trx) =>
      trx
        .insertInto('setting')
        .values([
          { key: 'one', value: '1' },
          { key: 'two', value: '2' },
        ])
        .execute(),
    )

    assert.deepEqual(
      (await settingOf(db.read, { key: 'one', floor: '0' })).map(({ value }) => value),
      ['1'],
    )
    assert.deepEqual(
      (await settingOf(db.read, { key: 'two', floor: '0' })).map(({ value }) => value),
      ['2'],
    )
    assert.deepEqual(await settingOf(db.read, { key: 'two', floor: '2' }), [])
    assert.equal(built, 1)
  })
})
