import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { isUniqueViolation } from './unique-violation.ts'

eachDatabase('unique violations', (make) => {
  it('given a key that is taken, when a second row is written, then it is told from other failures', async () => {
    await using db = await make()
    const write = (value: string) =>
      db.transact((trx) => trx.insertInto('setting').values({ key: 'k', value }).execute())
    await write('a')
    await assert.rejects(write('b'), isUniqueViolation)
    await assert.rejects(write(null as never), (error) => !isUniqueViolation(error))
  })
})
