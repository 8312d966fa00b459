import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { listDivergences, settleDivergences } from './divergences.ts'

eachDatabase('ledger of a link', (make) => {
  it('given a scope of few or of thousands of ranges, when listed, then its paths come in order of bytes, each once', async () => {
    await using db = await make()
    const paths = ['/b', '/a', '/f7', '/f7/x', '/f70', '/\u{1f600}']
    const found = paths.map((path) => ({ path, reason: 'failed', delta: undefined }) as const)
    await db.transact((trx) => settleDivergences(trx, 1, paths, found, 0))
    const list = async (ranges: Parameters<typeof listDivergences>[2]) =>
      (await listDivergences(db.slow, 1, ranges)).map(({ path }) => path)
    assert.deepEqual(await list([EVERY_PATH]), ['/a', '/b', '/f7', '/f7/x', '/f70', '/\u{1f600}'])
    const single = Array.from({ length: 3_000 }, (_, n) => ({ lo: `/f${n}`, hi: `/f${n}\u0001` }))
    assert.deepEqual(await list([...single, { lo: '/\u{1f600}', hi: null }, ...single]), ['/f7', '/f70', '/\u{1f600}'])
    assert.deepEqual(await list([]), [])
  })
})
