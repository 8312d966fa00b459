import type { ExpressionBuilder } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader } from '../database.ts'
import type { Schema } from '../schema.ts'
import type { FailureKind } from '../tables/replication.ts'

/** A row of the queue (`failures.ts`) with the names of its link. Times are UTC epoch milliseconds. */
export interface FailureRow {
  readonly id: string
  readonly linkId: number
  readonly linkKey: string
  readonly path: string
  readonly kind: FailureKind
  readonly reason: string | null
  /** How often it failed in a row. */
  readonly attempts: number
  /** Null: not by itself any more. */
  readonly dueAt: number | null
  readonly createdAt: number
  readonly modifiedAt: number
  readonly taskKey: string
  readonly clusterId: string
  readonly remoteProject: string
  readonly remoteRepo: string
  /** Of the repository here; null when it is gone. */
  readonly project: string | null
  readonly repo: string | null
  readonly repoType: string | null
  /** A run that looks at it is in progress. */
  readonly retrying: boolean
}

export interface FailureFilter {
  readonly taskKey?: string | undefined
  readonly clusterId?: string | undefined
  readonly project?: string | undefined
  readonly repo?: string | undefined
  readonly remoteProject?: string | undefined
  readonly remoteRepo?: string | undefined
  readonly kinds?: readonly FailureKind[] | undefined
  readonly retrying?: boolean | undefined
  /** Those that were tried again more often than that. */
  readonly retriedMoreThan?: number | undefined
}
export interface FailureOrder {
  readonly by: 'modified_at' | 'created_at' | 'attempts'
  readonly direction: 'asc' | 'desc'
}

type Queue = ExpressionBuilder<Schema, 'link_divergence' | 'link'>

/** A record of a run, not the one that stays open while changes are followed, with this link under way. */
const isRetrying = (eb: Queue) =>
  eb.exists(
    eb
      .selectFrom('execution_record')
      .innerJoin('exec_link', 'exec_link.record_id', 'execution_record.id')
      .select('exec_link.state')
      .whereRef('execution_record.task_key', '=', 'link.task_key')
      .where('execution_record.status', '=', 'RUNNING')
      .where('execution_record.replica_type', '!=', 'REAL_TIME')
      .whereRef('exec_link.link_id', '=', 'link_divergence.link_id')
      .where('exec_link.state', 'in', ['PENDING', 'COPYING']),
  )

function matching(reader: Reader, filter: FailureFilter) {
  const { taskKey, clusterId, project, repo, remoteProject, remoteRepo, kinds, retrying, retriedMoreThan } = filter
  return reader
    .selectFrom('link_divergence')
    .innerJoin('link', 'link.id', 'link_divergence.link_id')
    .leftJoin('repository', 'repository.id', 'link.repo_id')
    .where('link_divergence.failure_id', 'is not', null)
    .$if(taskKey !== undefined, (query) => query.where('link.task_key', '=', taskKey!))
    .$if(clusterId !== undefined, (query) => query.where('link.cluster_id', '=', clusterId!))
    .$if(project !== undefined, (query) => query.where('repository.project', '=', project!))
    .$if(repo !== undefined, (query) => query.where('repository.name', '=', repo!))
    .$if(remoteProject !== undefined, (query) => query.where('link.remote_project', '=', remoteProject!))
    .$if(remoteRepo !== undefined, (query) => query.where('link.remote_repo', '=', remoteRepo!))
    .$if(kinds !== undefined, (query) => query.where('link_divergence.kind', 'in', kinds!))
    .$if(retriedMoreThan !== undefined, (query) => query.where('link_divergence.attempts', '>', retriedMoreThan! + 1))
    .$if(retrying !== undefined, (query) =>
      query.where((eb) => {
        const is = isRetrying(eb as unknown as Queue)
        return retrying! ? is : eb.not(is)
      }),
    )
}

const selected = (query: ReturnType<typeof matching>) =>
  query.select((eb) => [
    'link_divergence.failure_id as id',
    'link_divergence.link_id as linkId',
    'link.key as linkKey',
    'link_divergence.path',
    'link_divergence.kind',
    'link_divergence.error_reason as reason',
    'link_divergence.attempts',
    'link_divergence.due_at as dueAt',
    'link_divergence.created_at as createdAt',
    'link_divergence.modified_at as modifiedAt',
    'link.task_key as taskKey',
    'link.cluster_id as clusterId',
    'link.remote_project as remoteProject',
    'link.remote_repo as remoteRepo',
    'repository.project',
    'repository.name as repo',
    'repository.type as repoType',
    isRetrying(eb as unknown as Queue).as('retrying'),
  ])
type Selected = Awaited<ReturnType<ReturnType<typeof selected>['executeTakeFirstOrThrow']>>

const rowOf = ({ id, kind, attempts, createdAt, modifiedAt, retrying, ...row }: Selected): FailureRow => ({
  ...row,
  id: id!,
  kind: kind ?? 'FILE',
  attempts: attempts ?? 1,
  createdAt: createdAt ?? 0,
  modifiedAt: modifiedAt ?? 0,
  // SQLite has no truth values of its own.
  retrying: Boolean(retrying),
})

export async function pageFailures(
  reader: Reader,
  filter: FailureFilter,
  { by, direction }: FailureOrder,
  page: PageRequest,
): Promise<Page<FailureRow>> {
  const { total } = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const rows = await selected(matching(reader, filter))
    .orderBy(`link_divergence.${by}`, direction)
    .orderBy('link_divergence.failure_id', direction)
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: Number(total), records: rows.map(rowOf) }
}

export async function findFailure(reader: Reader, id: string): Promise<FailureRow | undefined> {
  const row = await selected(matching(reader, {})).where('link_divergence.failure_id', '=', id).executeTakeFirst()
  return row && rowOf(row)
}
