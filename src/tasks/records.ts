import { AppError } from '../core/errors.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { longReads } from '../metadata/long-reads.ts'
import {
  type DetailFilter,
  type DetailPlace,
  type DetailRow,
  detailsAfter,
  listDetails,
  namesOfLinks,
  pageDetails,
} from '../metadata/replication/detail-pages.ts'
import { type ExecLink, listExecLinks } from '../metadata/replication/exec-links.ts'
import { type LiveStanding, listLiveStandings } from '../metadata/replication/live-lag.ts'
import {
  findRecord,
  type ListedRecord,
  listRecords,
  pageRecords,
  sumLiveTotals,
} from '../metadata/replication/records.ts'
import {
  detailFromRow,
  type ExecutionRecord,
  type Overview,
  type RecordDetail,
  type RunSnapshot,
  readSnapshot,
  recordFromRow,
} from './record.ts'
import type { RunStatus } from './task.ts'

/** replication.md 1.3: a list is no page; whoever wants more pages. */
const MAX_LISTED = 10_000
const DETAILS_PER_SLICE = 1_000

/** Use cases of contract 002. While a record is RUNNING, its overview and bytes are summed from the shards at each call. */
export interface Records {
  /** @throws AppError TASK_NOT_FOUND for an unknown record. */
  get(recordId: string): Promise<{ record: ExecutionRecord; snapshot: RunSnapshot; links: LinkState[] }>
  /** Newest start first, at most 10,000; unknown tasks have none. */
  list(taskKey: string): Promise<ExecutionRecord[]>
  page(taskKey: string, status: RunStatus | undefined, page: PageRequest): Promise<Page<ExecutionRecord>>
  /** Newest start first, at most 10,000; unknown records have none. */
  listDetails(recordId: string): Promise<RecordDetail[]>
  pageDetails(recordId: string, filter: DetailFilter, page: PageRequest): Promise<Page<RecordDetail>>
  /** All of them in that order, in slices that are read when they are asked for. What comes in meanwhile may be missed. */
  eachDetails(recordId: string, filter: DetailFilter): AsyncIterable<RecordDetail[]>
  /** Undefined for an unknown record, and one from before overviews were kept. */
  findOverview(recordId: string): Promise<Overview | undefined>
}

/** How one link of a run stands. */
export interface LinkState {
  readonly clusterName: string
  readonly localRepo: string
  /** Of a link that follows changes, how it follows them. */
  readonly state: ExecLink['state'] | LiveStanding['state']
  /** Why it FAILED, or what it waits for. */
  readonly reason: string | null
  /** Since when its target does not answer, UTC epoch milliseconds; null: it does. */
  readonly downSince: number | null
}
/** @param live of a link that follows changes. */
function linkState(link: ExecLink, live: LiveStanding | undefined): LinkState {
  const place = { clusterName: link.cluster_name, localRepo: link.local_repo }
  // What exists is brought over as by any run.
  if (live !== undefined && live.state !== 'NEW' && live.state !== 'BACKFILL') {
    const { state, since, lastError } = live
    return { ...place, state, reason: lastError, downSince: state === 'RETRY' ? since : null }
  }
  const downSince = link.ended_at === null ? link.down_since : null
  return { ...place, state: link.state, reason: link.error_reason, downSince }
}

export function createRecords({ db }: { readonly db: MetadataDatabase }): Records {
  async function withTotals(rows: readonly ListedRecord[]): Promise<ExecutionRecord[]> {
    const running = rows.filter(({ status }) => status === 'RUNNING').map(({ id }) => id)
    const live = await sumLiveTotals(db.read, running)
    return rows.map((row) => recordFromRow(row, live.get(row.id)))
  }
  async function withLinks(recordId: string, rows: readonly DetailRow[]): Promise<RecordDetail[]> {
    const linkIds = [...new Set(rows.map(({ link_id }) => link_id))]
    const names = await namesOfLinks(db.read, recordId, linkIds)
    return rows.map((row) => detailFromRow(row, names.get(row.link_id)))
  }
  return {
    async get(recordId) {
      const row = await findRecord(db.read, recordId)
      const [record] = row === undefined ? [] : await withTotals([row])
      if (row === undefined || record === undefined) {
        throw new AppError('TASK_NOT_FOUND', `replica task [${recordId}] not found`, { recordId })
      }
      const links = await listExecLinks(db.read, recordId)
      const live = record.status === 'RUNNING' ? await listLiveStandings(db.read, recordId) : undefined
      return {
        record,
        snapshot: readSnapshot(row),
        links: links.map((link) => linkState(link, live?.get(link.link_id))),
      }
    },
    list: async (taskKey) => withTotals(await listRecords(db.read, taskKey, MAX_LISTED)),
    async page(taskKey, status, page) {
      const found = await pageRecords(db.read, taskKey, status, page)
      return { ...found, records: await withTotals(found.records) }
    },
    listDetails: async (recordId) => withLinks(recordId, await listDetails(longReads(db), recordId, MAX_LISTED)),
    async pageDetails(recordId, filter, page) {
      const found = await pageDetails(longReads(db), recordId, filter, page)
      return { ...found, records: await withLinks(recordId, found.records) }
    },
    async *eachDetails(recordId, filter) {
      let after: DetailPlace | undefined
      do {
        const rows = await detailsAfter(longReads(db), recordId, filter, after, DETAILS_PER_SLICE)
        if (rows.length > 0) yield withLinks(recordId, rows)
        const last = rows.length < DETAILS_PER_SLICE ? undefined : rows.at(-1)
        after = last && { startedAt: last.started_at, id: last.id }
      } while (after !== undefined)
    },
    async findOverview(recordId) {
      const row = await findRecord(db.read, recordId)
      const [record] = row === undefined ? [] : await withTotals([row])
      return record?.overview ?? undefined
    },
  }
}
