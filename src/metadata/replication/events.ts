import { sql } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader } from '../database.ts'
import type { ChangeOp } from '../schema.ts'
import type { FailureKind } from '../tables/replication.ts'

/**
 * One path of a link that follows changes, as long as the target does not have it: it failed, or it changed since what was acknowledged
 * last. Times are UTC epoch milliseconds.
 */
export interface EventRow {
  readonly linkId: number
  readonly taskKey: string
  readonly path: string
  readonly project: string | null
  readonly repo: string | null
  readonly repoType: string | null
  /** Of what failed (`failures.ts`); null: it was not tried yet. */
  readonly failureId: string | null
  readonly kind: FailureKind | null
  readonly attempts: number
  /** Number of the first change that is not acknowledged; null: of what failed. */
  readonly seq: number | null
  readonly op: ChangeOp | null
  readonly createdAt: number
  readonly modifiedAt: number
}

export interface EventFilter {
  readonly taskKey?: string | undefined
  readonly isTried?: boolean | undefined
  /** One change that is not acknowledged: of the link, the number of its first change. */
  readonly pending?: { readonly linkId: number; readonly seq: number } | undefined
  readonly failureId?: string | undefined
}
export interface EventOrder {
  readonly by: 'modified_at' | 'created_at' | 'attempts'
  readonly direction: 'asc' | 'desc'
}

const followed = (reader: Reader, taskKey: string | undefined) =>
  reader
    .selectFrom('link')
    .innerJoin('replication_task as task', 'task.key', 'link.task_key')
    .leftJoin('repository', 'repository.id', 'link.repo_id')
    .where('task.replica_type', '=', 'REAL_TIME')
    .$if(taskKey !== undefined, (query) => query.where('link.task_key', '=', taskKey!))

const failed = (reader: Reader, { taskKey, failureId }: EventFilter) =>
  followed(reader, taskKey)
    .innerJoin('link_divergence as ledger', 'ledger.link_id', 'link.id')
    .where('ledger.failure_id', 'is not', null)
    .$if(failureId !== undefined, (query) => query.where('ledger.failure_id', '=', failureId!))
    .select((eb) => [
      'link.id as link_id',
      'link.task_key',
      'ledger.path',
      'repository.project',
      'repository.name as repo',
      'repository.type as repo_type',
      'ledger.failure_id',
      'ledger.kind',
      eb.fn.coalesce('ledger.attempts', eb.lit(1)).as('attempts'),
      sql<number | null>`cast(null as bigint)`.as('seq'),
      sql<number | null>`cast(null as bigint)`.as('op'),
      eb.fn.coalesce('ledger.created_at', 'ledger.since').as('created_at'),
      eb.fn.coalesce('ledger.modified_at', 'ledger.since').as('modified_at'),
    ])

/** Of links that brought over what existed; until then nothing of the log is theirs. */
const pending = (reader: Reader, { taskKey, pending: one }: EventFilter) =>
  followed(reader, taskKey)
    .innerJoin('change_log as log', 'log.repo_id', 'link.repo_id')
    .whereRef('log.seq', '>', 'link.acked_seq')
    .$if(one !== undefined, (query) => query.where('link.id', '=', one!.linkId))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('link_divergence as known')
            .select('known.path')
            .whereRef('known.link_id', '=', 'link.id')
            .whereRef('known.path', '=', 'log.path')
            .where('known.failure_id', 'is not', null),
        ),
      ),
    )
    .groupBy(['link.id', 'link.task_key', 'log.path', 'repository.project', 'repository.name', 'repository.type'])
    .$if(one !== undefined, (query) => query.having((eb) => eb(eb.fn.min('log.seq'), '=', one!.seq)))
    .select((eb) => [
      'link.id as link_id',
      'link.task_key',
      'log.path',
      'repository.project',
      'repository.name as repo',
      'repository.type as repo_type',
      sql<string | null>`cast(null as text)`.as('failure_id'),
      sql<FailureKind | null>`cast(null as text)`.as('kind'),
      eb.lit(0).as('attempts'),
      eb.fn.min<number | null>('log.seq').as('seq'),
      eb.fn.max<number | null>('log.op').as('op'),
      eb.fn.min('log.at').as('created_at'),
      eb.fn.max('log.at').as('modified_at'),
    ])

function matching(reader: Reader, filter: EventFilter) {
  const { isTried } = filter
  if (isTried === true) return reader.selectFrom(failed(reader, filter).as('event'))
  if (isTried === false) return reader.selectFrom(pending(reader, filter).as('event'))
  return reader.selectFrom(failed(reader, filter).unionAll(pending(reader, filter)).as('event'))
}

export async function pageEvents(
  reader: Reader,
  filter: EventFilter,
  { by, direction }: EventOrder,
  page: PageRequest,
): Promise<Page<EventRow>> {
  const { total } = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const rows = await matching(reader, filter)
    .selectAll()
    .orderBy(`event.${by}`, direction)
    .orderBy('event.link_id', direction)
    .orderBy('event.path', direction)
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  const records = rows.map(
    ({ link_id, task_key, repo_type, failure_id, created_at, modified_at, attempts, op, ...row }): EventRow => ({
      ...row,
      linkId: link_id,
      taskKey: task_key,
      repoType: repo_type,
      failureId: failure_id,
      attempts: Number(attempts),
      op: op as ChangeOp | null,
      createdAt: Number(created_at),
      modifiedAt: Number(modified_at),
    }),
  )
  return { ...page, totalRecords: Number(total), records }
}
