import { AppError } from '../core/errors.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import {
  type DetailFilter,
  type DetailRow,
  listDetails,
  namesOfLinks,
  pageDetails,
} from '../metadata/replication/detail-pages.ts'
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

/** Use cases of contract 002. While a record is RUNNING, its overview and bytes are summed from the shards at each call. */
export interface Records {
  /** @throws AppError TASK_NOT_FOUND for an unknown record. */
  get(recordId: string): Promise<{ record: ExecutionRecord; snapshot: RunSnapshot }>
  /** Newest start first, at most 10,000; unknown tasks have none. */
  list(taskKey: string): Promise<ExecutionRecord[]>
  page(taskKey: string, status: RunStatus | undefined, page: PageRequest): Promise<Page<ExecutionRecord>>
  /** Newest start first, at most 10,000; unknown records have none. */
  listDetails(recordId: string): Promise<RecordDetail[]>
  pageDetails(recordId: string, filter: DetailFilter, page: PageRequest): Promise<Page<RecordDetail>>
  /** Undefined for an unknown record, and one from before overviews were kept. */
  findOverview(recordId: string): Promise<Overview | undefined>
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
      return { record, snapshot: readSnapshot(row) }
    },
    list: async (taskKey) => withTotals(await listRecords(db.read, taskKey, MAX_LISTED)),
    async page(taskKey, status, page) {
      const found = await pageRecords(db.read, taskKey, status, page)
      return { ...found, records: await withTotals(found.records) }
    },
    listDetails: async (recordId) => withLinks(recordId, await listDetails(db.read, recordId, MAX_LISTED)),
    async pageDetails(recordId, filter, page) {
      const found = await pageDetails(db.read, recordId, filter, page)
      return { ...found, records: await withLinks(recordId, found.records) }
    },
    async findOverview(recordId) {
      const row = await findRecord(db.read, recordId)
      const [record] = row === undefined ? [] : await withTotals([row])
      return record?.overview ?? undefined
    },
  }
}
