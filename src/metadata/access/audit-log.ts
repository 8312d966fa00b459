import type { Insertable, Selectable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { startsWith } from '../sql/text-prefix.ts'

/** Who did what to what, from where, and how it ended. Times are UTC epoch milliseconds. */
export interface AuditEntry {
  readonly at: number
  /** Of the last of `times`. */
  readonly lastAt: number
  readonly times: number
  /** With the outcome REFUSED and code 250114: who the caller said to be. */
  readonly userId: string
  readonly appId: string | null
  readonly address: string
  /** Method and route, e.g. `DELETE /auth/api/user/delete/:uid`. */
  readonly action: string
  readonly project: string | null
  readonly repo: string | null
  /** What the request names, e.g. `uid=ann`. Never a secret. */
  readonly resource: string | null
  readonly outcome: 'SUCCESS' | 'FAILED' | 'REFUSED'
  /** As in the envelope; 0: success. */
  readonly code: number
  readonly traceId: string
}
export type AuditRecord = AuditEntry & { readonly id: number }

/** All given ones must hold. */
export interface AuditFilter {
  readonly userId?: string | undefined
  readonly appId?: string | undefined
  /** Prefix. */
  readonly action?: string | undefined
  readonly project?: string | undefined
  readonly outcome?: AuditEntry['outcome'] | undefined
  readonly code?: number | undefined
  /** From this time on. */
  readonly from?: number | undefined
  /** Before this time. */
  readonly to?: number | undefined
}

export async function insertAuditEntries(trx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length > 0) await trx.insertInto('audit_log').values(entries.map(toRow)).execute()
}

/** Newest first. */
export async function pageAuditLog(reader: Reader, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>> {
  const { total } = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const rows = await matching(reader, filter)
    .selectAll()
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: Number(total), records: rows.map(toRecord) }
}

function matching(reader: Reader, { userId, appId, action, project, outcome, code, from, to }: AuditFilter) {
  return reader
    .selectFrom('audit_log')
    .$if(userId !== undefined, (query) => query.where('user_id', '=', userId!))
    .$if(appId !== undefined, (query) => query.where('app_id', '=', appId!))
    .$if(action !== undefined, (query) => query.where((eb) => startsWith(eb, eb.ref('action'), action!)))
    .$if(project !== undefined, (query) => query.where('project', '=', project!))
    .$if(outcome !== undefined, (query) => query.where('outcome', '=', outcome!))
    .$if(code !== undefined, (query) => query.where('code', '=', code!))
    .$if(from !== undefined, (query) => query.where('at', '>=', from!))
    .$if(to !== undefined, (query) => query.where('at', '<', to!))
}

/** Those before that time, oldest first. @returns how many went; fewer than `limit`: no more are left. */
export async function deleteOldAuditEntries(trx: Transaction, before: number, limit: number): Promise<number> {
  const old = trx.selectFrom('audit_log').select('id').where('at', '<', before).orderBy('at').orderBy('id').limit(limit)
  const result = await trx.deleteFrom('audit_log').where('id', 'in', old).executeTakeFirst()
  return Number(result.numDeletedRows)
}

/** Time of the oldest of the newest `keep` refusals; undefined: there are not so many. */
export async function findOldestRefusalToKeep(reader: Reader, keep: number): Promise<number | undefined> {
  const row = await reader
    .selectFrom('audit_log')
    .select('at')
    .where('outcome', '=', 'REFUSED')
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .offset(keep - 1)
    .executeTakeFirst()
  return row?.at
}

/** As `deleteOldAuditEntries`, of refusals only. */
export async function deleteOldRefusals(trx: Transaction, before: number, limit: number): Promise<number> {
  const old = trx
    .selectFrom('audit_log')
    .select('id')
    .where('outcome', '=', 'REFUSED')
    .where('at', '<', before)
    .orderBy('at')
    .orderBy('id')
    .limit(limit)
  const result = await trx.deleteFrom('audit_log').where('id', 'in', old).executeTakeFirst()
  return Number(result.numDeletedRows)
}

const toRow = (entry: AuditEntry): Insertable<Schema['audit_log']> => ({
  at: entry.at,
  last_at: entry.lastAt,
  times: entry.times,
  user_id: entry.userId,
  app_id: entry.appId,
  address: entry.address,
  action: entry.action,
  project: entry.project,
  repo: entry.repo,
  resource: entry.resource,
  outcome: entry.outcome,
  code: entry.code,
  trace_id: entry.traceId,
})

const toRecord = (row: Selectable<Schema['audit_log']>): AuditRecord => ({
  id: row.id,
  at: row.at,
  lastAt: row.last_at,
  times: row.times,
  userId: row.user_id,
  appId: row.app_id,
  address: row.address,
  action: row.action,
  project: row.project,
  repo: row.repo,
  resource: row.resource,
  outcome: row.outcome,
  code: row.code,
  traceId: row.trace_id,
})
