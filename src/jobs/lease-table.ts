import { type Selectable, sql } from 'kysely'
import type { Clock } from '../core/clock.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import type { Schema } from '../metadata/schema.ts'
import type { ClaimedJob, JobQueue, JobRequest } from './job-queue.ts'

/**
 * `JobQueue` on the `job` table of the metadata database, both dialects. `due_at` decides alone who may claim: of a waiting job it
 * is when it may run, of a claimed one it is when the lease ends. `again_at` is a request that came while the job ran.
 */
export function createLeaseTableQueue({
  db,
  clock,
}: {
  readonly db: MetadataDatabase
  readonly clock: Clock
}): JobQueue {
  return {
    enqueue: (job, trx) => enqueueJob(job, trx, clock.now()),

    claim(owner, kinds, leaseMs) {
      const now = clock.now()
      return db.transact(async (trx) => {
        const row = await trx
          .updateTable('job')
          .set((eb) => ({
            owner,
            due_at: now + leaseMs,
            // This run answers what was asked for until now.
            again_at: sql`case when again_at > ${now} then again_at end`,
            epoch: eb('epoch', '+', 1),
            attempts: eb('attempts', '+', 1),
          }))
          .where('id', '=', (eb) =>
            eb
              .selectFrom('job')
              .where('due_at', '<=', now)
              .where('kind', 'in', kinds)
              .select('id')
              .orderBy('due_at')
              .orderBy('id')
              .limit(1)
              .$if(db.dialect === 'postgres', (query) => query.forUpdate().skipLocked()),
          )
          .returningAll()
          .executeTakeFirst()
        return row === undefined ? undefined : toJob(row)
      })
    },

    heartbeat: (job, owner, leaseMs) =>
      db.transact(async (trx) => {
        const renewed = await claimed(trx, job, owner)
          .set({ due_at: clock.now() + leaseMs })
          .executeTakeFirst()
        return renewed.numUpdatedRows > 0n
      }),

    finish: (job, owner) =>
      db.transact(async (trx) => {
        const { numDeletedRows } = await trx
          .deleteFrom('job')
          .where('id', '=', Number(job.id))
          .where('owner', '=', owner)
          .where('epoch', '=', job.epoch)
          .where('again_at', 'is', null)
          .executeTakeFirst()
        if (numDeletedRows > 0n) return true
        const again = await claimed(trx, job, owner)
          .set((eb) => ({ owner: null, due_at: eb.fn.coalesce('again_at', 'due_at'), again_at: null, attempts: 0 }))
          .executeTakeFirst()
        return again.numUpdatedRows > 0n
      }),

    retryAt: (job, owner, runAt) =>
      db.transact(async (trx) => {
        const released = await claimed(trx, job, owner).set(waitingFor(runAt)).executeTakeFirst()
        return released.numUpdatedRows > 0n
      }),

    postpone: (job, owner, runAt) =>
      db.transact(async (trx) => {
        const values = { ...waitingFor(runAt), attempts: 0 }
        return (await claimed(trx, job, owner).set(values).executeTakeFirst()).numUpdatedRows > 0n
      }),

    releaseInstallation: (installationId, self) =>
      db.transact(async (trx) => {
        const released = await trx
          .updateTable('job')
          .set({ owner: null, due_at: clock.now() })
          .where('owner', '>=', `${installationId}:`)
          .where('owner', '<', `${installationId};`) // the byte after `:`
          .where('owner', '!=', self)
          .executeTakeFirst()
        return Number(released.numUpdatedRows)
      }),

    async nextDue(kinds) {
      const query = db.read.selectFrom('job').where('kind', 'in', kinds)
      const row = await query.select((eb) => eb.fn.min<number | null>('due_at').as('next')).executeTakeFirst()
      return row?.next ?? undefined
    },

    async depth() {
      const due = db.read.selectFrom('job').where('due_at', '<=', clock.now())
      return (await due.select((eb) => eb.fn.countAll<number>().as('jobs')).executeTakeFirstOrThrow()).jobs
    },
  }
}

/** As `JobQueue.enqueue`, for whoever has a transaction and no queue: the workers notice it at their next look. */
export async function enqueueJob(job: JobRequest, trx: Transaction, now: number): Promise<void> {
  const { kind, dedupeKey, payload, runAt = now } = job
  const fresh = {
    kind,
    dedupe_key: dedupeKey,
    payload: JSON.stringify(payload),
    due_at: runAt,
    epoch: 0,
    attempts: 0,
  }
  await trx
    .insertInto('job')
    .values(fresh)
    .onConflict((conflict) =>
      conflict.columns(['kind', 'dedupe_key']).doUpdateSet({
        payload: (eb) => eb.ref('excluded.payload'),
        due_at: sql`case when job.owner is null and excluded.due_at < job.due_at then excluded.due_at else job.due_at end`,
        again_at: sql`case when job.owner is null or job.again_at <= excluded.due_at then job.again_at else excluded.due_at end`,
      }),
    )
    .execute()
}

/** The row while this claim is its latest one and the owner still has it. */
function claimed(trx: Transaction, job: ClaimedJob, owner: string) {
  return trx
    .updateTable('job')
    .where('id', '=', Number(job.id))
    .where('owner', '=', owner)
    .where('epoch', '=', job.epoch)
}

/** Back in the queue for `runAt`, or for an earlier time that was asked for while it ran. */
function waitingFor(runAt: number) {
  return {
    owner: null,
    due_at: sql<number>`case when again_at < ${runAt} then again_at else ${runAt} end`,
    again_at: sql<number | null>`case when again_at > ${runAt} then again_at end`,
  }
}

function toJob(row: Selectable<Schema['job']>): ClaimedJob {
  return {
    id: String(row.id),
    kind: row.kind,
    payload: JSON.parse(row.payload) as ClaimedJob['payload'],
    epoch: row.epoch,
    attempts: row.attempts,
  }
}
