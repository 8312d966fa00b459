import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../test/helpers/databases.ts'
import {
  makeCluster,
  makeRepositories,
  replicationServices,
  sampleTask,
} from '../../test/helpers/replication-services.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type DetailWrite, putDetails } from '../metadata/replication/record-details.ts'
import { createRecordRetention } from './record-retention.ts'

const DAY_MS = 86_400_000

const detail = (recordId: string, path: string, startedAt: number, endedAt: number | null): DetailWrite => ({
  ...{ id: `${recordId}${path}`, recordId, linkId: 1, path, digest: null, sizeBytes: 1, attempts: 1 },
  ...{ status: endedAt === null ? 'RUNNING' : 'SUCCESS', conflictStrategy: null, errorReason: null },
  ...{ executeType: 'DELTA', startedAt, endedAt },
})
const paths = async (db: MetadataDatabase, recordId: string) =>
  (
    await db.read.selectFrom('record_detail').select('path').where('record_id', '=', recordId).orderBy('path').execute()
  ).map(({ path }) => path)

eachDatabase('what is kept of records', (make) => {
  it('case 53: given recordReserveDays 1 and an open record that follows changes, when swept, then only its old details go', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    const { tasks, records, clock } = services
    await makeRepositories(db, 'files')
    const cluster = await makeCluster(services, 'beta')
    const open = async (name: string, replicaType: string) => {
      const body = { ...sampleTask(name, [cluster], 'files'), replicaType, recordReserveDays: 1 }
      const { key } = await tasks.create(body, 'admin', t.signal)
      return (await records.list(key))[0]!.id
    }
    const live = await open('live', 'REAL_TIME')
    const scheduled = await open('scheduled', 'SCHEDULED')
    clock.advance(10 * DAY_MS)
    const now = clock.now()
    for (const recordId of [live, scheduled]) {
      await db.transact((trx) =>
        putDetails(trx, [
          detail(recordId, '/old', now - 3 * DAY_MS, now - 2 * DAY_MS),
          detail(recordId, '/renewed', now - 3 * DAY_MS, now - 1_000),
          detail(recordId, '/running', now - 3 * DAY_MS, null),
          detail(recordId, '/new', now - 1_000, now - 900),
        ]),
      )
    }
    const retention = createRecordRetention({ db, clock })
    assert.equal(await retention.sweep(t.signal), 0)
    assert.deepEqual(await paths(db, live), ['/new', '/renewed', '/running'])
    assert.deepEqual(await paths(db, scheduled), ['/new', '/old', '/renewed', '/running'], 'a run keeps all it did')
  })
})
