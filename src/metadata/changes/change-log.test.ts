import assert from 'node:assert/strict'
import { it } from 'node:test'
import { append, change } from '../../../test/helpers/changes.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { Lanes } from '../../core/lanes.ts'
import { appendChanges } from './change-log.ts'
import { headSeq } from './change-numbers.ts'
import { numberChanges } from './sequencer.ts'

eachDatabase('change log', (make) => {
  it('given a rolled back transaction, when listed, then its changes never were', async () => {
    await using db = await make()
    const failed = db.transact(async (trx) => {
      await appendChanges(trx, [change('/a')])
      throw new Error('no')
    })
    await assert.rejects(failed)
    await numberChanges(db)
    assert.equal(await headSeq(db.read, 1), 0)
  })

  it('given extreme lanes before and after, when written, then the difference is kept exactly', async () => {
    await using db = await make()
    const [low, high]: Lanes[] = [
      [-(2 ** 31), 0, 1, -1],
      [2 ** 31 - 1, 0, -1, 1],
    ]
    const before = { content: low!, metadata: high! }
    await append(db, change('/a', { before, after: { content: high!, metadata: low! } }))
    const row = await db.read.selectFrom('change_log').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual([row.d0, row.d1, row.d2, row.d3, row.dn], [2 ** 32 - 1, 0, -2, 2, 0])
    assert.deepEqual([row.e0, row.e1, row.e2, row.e3], [-(2 ** 32) + 1, 0, 2, -2])
  })

  it('given 1,000 changes in one call, when appended, then all are there in order of the call', async () => {
    await using db = await make()
    await append(db, ...Array.from({ length: 1_000 }, (_, n) => change(`/${n}`)))
    const rows = await db.read.selectFrom('change_log').select('path').orderBy('seq').execute()
    assert.deepEqual(
      rows.map(({ path }) => path),
      Array.from({ length: 1_000 }, (_, n) => `/${n}`),
    )
  })
})
