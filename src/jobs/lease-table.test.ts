import { manualClock } from '../../test/helpers/clock.ts'
import { eachDatabase } from '../../test/helpers/databases.ts'
import { jobQueueContract } from './job-queue.contract.ts'
import { createLeaseTableQueue } from './lease-table.ts'

eachDatabase('lease table', (make) => {
  jobQueueContract('lease table', async () => {
    const db = await make()
    const clock = manualClock()
    return {
      db,
      clock,
      queue: createLeaseTableQueue({ db, clock }),
      [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
    }
  })
})
