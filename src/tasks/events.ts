import { missing } from '../core/errors.ts'
import { type Page, type PageRequest, pageRequest } from '../core/paging.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type EventFilter, type EventOrder, type EventRow, pageEvents } from '../metadata/replication/events.ts'
import { dismissFailures, hurryFailures, listFailureIds } from '../metadata/replication/failures.ts'

/** Changes of REAL_TIME tasks that a target does not have yet (replication.md 1.6). */
export interface Events {
  page(
    filter: Omit<EventFilter, 'pending' | 'failureId'>,
    order: EventOrder,
    page: PageRequest,
  ): Promise<Page<EventRow>>
  find(id: string): Promise<EventRow | undefined>
  /** What failed is tried again at once; the rest is on its way. @returns whether there was such an event. @throws as `delete`. */
  retry(choice: EventChoice): Promise<boolean>
  /**
   * What failed is not tried again by itself. What was not tried yet stays: it is a row of the change log.
   * @returns whether something went. @throws AppError PARAMETER_MISSING without an id and a key.
   */
  delete(choice: EventChoice): Promise<boolean>
}
export interface EventChoice {
  readonly eventId?: string | undefined
  readonly taskKey?: string | undefined
}

const FIRST = pageRequest(1, 1)
const ORDER: EventOrder = { by: 'modified_at', direction: 'desc' }

/** 24 hex digits, the same until the target has the path: of what failed those of the failure, else of the link and the change. */
export const eventIdOf = ({ failureId, linkId, seq }: Pick<EventRow, 'failureId' | 'linkId' | 'seq'>): string =>
  failureId ?? hex(linkId, 8) + hex(seq ?? 0, 16)
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')

function readPendingId(id: string): EventFilter['pending'] {
  if (!/^[0-9a-f]{24}$/.test(id)) return undefined
  const [linkId, seq] = [Number.parseInt(id.slice(0, 8), 16), Number.parseInt(id.slice(8), 16)]
  return Number.isSafeInteger(seq) ? { linkId, seq } : undefined
}

export function createEvents({ db, now }: { readonly db: MetadataDatabase; now(): number }): Events {
  async function find(id: string): Promise<EventRow | undefined> {
    const failed = await pageEvents(db.read, { isTried: true, failureId: id }, ORDER, FIRST)
    const pending = readPendingId(id)
    if (failed.records.length > 0 || pending === undefined) return failed.records[0]
    return (await pageEvents(db.read, { isTried: false, pending }, ORDER, FIRST)).records[0]
  }
  /** Those that failed among the chosen ones. */
  async function chosen({ eventId, taskKey }: EventChoice): Promise<string[]> {
    if (eventId === undefined && taskKey === undefined) throw missing('eventId')
    return listFailureIds(db.read, { id: eventId, taskKey, replicaType: 'REAL_TIME' })
  }
  return {
    page: async (filter, order, page) => pageEvents(db.read, filter, order, page),
    find,
    async retry(choice) {
      const ids = await chosen(choice)
      if ((await db.transact((trx) => hurryFailures(trx, ids, now()))) > 0) return true
      const { eventId, taskKey } = choice
      if (eventId === undefined) return (await pageEvents(db.read, { taskKey }, ORDER, FIRST)).totalRecords > 0
      const found = await find(eventId)
      return found !== undefined && (taskKey === undefined || found.taskKey === taskKey)
    },
    async delete(choice) {
      const ids = await chosen(choice)
      return ids.length > 0 && (await db.transact((trx) => dismissFailures(trx, { ids }))) > 0
    },
  }
}
