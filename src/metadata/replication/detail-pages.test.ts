import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { MetadataDatabase } from '../database.ts'
import { type DetailFilter, type DetailPlace, detailsAfter, pageDetails } from './detail-pages.ts'
import { createExecLinks } from './exec-links.ts'
import { type DetailWrite, putDetails } from './record-details.ts'

const RECORD = 'r'.repeat(24)
const DETAILS = 95

/** Several start at the same moment; two links; every tenth failed. */
async function fill(db: MetadataDatabase): Promise<DetailWrite[]> {
  const details = Array.from(
    { length: DETAILS },
    (_, n): DetailWrite => ({
      ...{ id: ((n * 37) % DETAILS).toString(16).padStart(24, '0'), recordId: RECORD, linkId: 1 + (n % 2) },
      ...{
        path: `/d${n % 3}/f${n}`,
        digest: null,
        sizeBytes: n,
        status: n % 10 === 0 ? 'FAILED' : 'SUCCESS',
        attempts: 1,
      },
      ...{ conflictStrategy: null, errorReason: null, executeType: 'FULL', startedAt: Math.floor(n / 4), endedAt: n },
    }),
  )
  await db.transact(async (trx) => {
    const link = { recordId: RECORD, clusterId: 'c', localRepo: 'files', repoType: 'GENERIC' }
    await createExecLinks(trx, [
      { ...link, linkId: 1, clusterName: 'odd' },
      { ...link, linkId: 2, clusterName: 'even' },
    ])
    await putDetails(trx, details)
  })
  return details
}
const newestFirst = (a: DetailWrite, b: DetailWrite) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1)

const FILTERS: readonly (readonly [DetailFilter, (detail: DetailWrite) => boolean])[] = [
  [{}, () => true],
  [{ status: 'FAILED' }, ({ status }) => status === 'FAILED'],
  [{ path: '/d1/' }, ({ path }) => path.startsWith('/d1/')],
  [{ clusterName: 'even', status: 'SUCCESS' }, ({ linkId, status }) => linkId === 2 && status === 'SUCCESS'],
  [{ clusterName: 'neither' }, () => false],
]

eachDatabase('pages of details', (make) => {
  it('case 55: given any filter, when read page by page, deep ones too, then all come once, newest start first', async () => {
    await using db = await make()
    const all = (await fill(db)).sort(newestFirst)
    for (const [filter, holds] of FILTERS) {
      const wanted = all.filter(holds).map(({ id }) => id)
      const found: string[] = []
      for (let pageNumber = 1; ; pageNumber++) {
        const page = await pageDetails(db.read, RECORD, filter, { pageNumber, pageSize: 7 })
        assert.equal(page.totalRecords, wanted.length)
        if (page.records.length === 0) break
        found.push(...page.records.map(({ id }) => id))
      }
      assert.deepEqual(found, wanted, JSON.stringify(filter))
    }
  })

  it('given any filter, when read place after place, then all come once, newest start first', async () => {
    await using db = await make()
    const all = (await fill(db)).sort(newestFirst)
    for (const [filter, holds] of FILTERS) {
      const found: string[] = []
      let after: DetailPlace | undefined
      for (;;) {
        const rows = await detailsAfter(db.read, RECORD, filter, after, 6)
        found.push(...rows.map(({ id }) => id))
        const last = rows.at(-1)
        if (last === undefined) break
        after = { startedAt: last.started_at, id: last.id }
      }
      assert.deepEqual(
        found,
        all.filter(holds).map(({ id }) => id),
        JSON.stringify(filter),
      )
    }
  })
})
