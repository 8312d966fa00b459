import type { Clock } from '../core/clock.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import {
  type AuditEntry,
  type AuditFilter,
  type AuditRecord,
  deleteOldAuditEntries,
  deleteOldRefusals,
  findOldestRefusalToKeep,
  insertAuditEntries,
  pageAuditLog,
} from '../metadata/access/audit-log.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { ANONYMOUS } from './principal.ts'

export type { AuditEntry, AuditFilter, AuditRecord } from '../metadata/access/audit-log.ts'

/** What a request did or tried, without its time. */
export type AuditEvent = Omit<AuditEntry, 'at' | 'lastAt' | 'times'>

/** Who changed what, and who was refused. */
export interface AuditLog {
  /** Of a management change: durable when this resolves, which is before the caller has its answer. */
  record(event: AuditEvent): Promise<void>
  /**
   * Of a refused access: written some seconds later, equal ones as one row with a count. A process that dies loses those of its last
   * seconds. Whatever comes, the rows of one interval are bounded.
   */
  refused(event: AuditEvent): void
  /** Of a request without credentials where some are needed, which many clients begin with: one row per address and ten minutes. */
  probed(event: Pick<AuditEvent, 'address' | 'code' | 'traceId'>): void
  /** Newest first. */
  page(filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>>
  /** Writes all that was gathered. */
  flush(): Promise<void>
  /** Writes what is due every 10 s until the signal, and all then. An error is told and its rows are dropped. */
  run(signal: AbortSignal): Promise<void>
  /** Deletes what is older than `reserveDays`, and refusals beyond a million. @returns how many rows went. */
  sweep(signal: AbortSignal): Promise<number>
}

interface AuditDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly reserveDays: number
  readonly onError: (error: unknown) => void
  /** Refusals that are kept; the default is for everything but tests. */
  readonly maxRefusals?: number
}

const DAY_MS = 86_400_000
const INTERVAL_MS = 10_000
const PROBE_INTERVAL_MS = 600_000
/** Different refusals of one interval that get rows of their own. */
const MAX_DIFFERENT = 200
/** Those beyond share a row per address; beyond these, all share one. */
const MAX_ADDRESSES = 50
/** In place of method and route. */
const PROBE = 'requests without credentials'
const MANY = 'several: too many at once to keep each'
/** About 300 MB. Management changes are never deleted for their number. */
const MAX_REFUSALS = 1_000_000
/** Short transactions: writers wait a moment. */
const ROWS_PER_SLICE = 5_000

export function createAuditLog(deps: AuditDeps): AuditLog {
  const { db, clock, reserveDays, onError, maxRefusals = MAX_REFUSALS } = deps
  let refusals = new Map<string, AuditEntry>()
  let probes = new Map<string, AuditEntry>()

  function gather(into: Map<string, AuditEntry>, key: string, event: AuditEvent): void {
    const at = clock.now()
    const known = into.get(key)
    into.set(key, known ? { ...known, times: known.times + 1, lastAt: at } : { ...event, at, lastAt: at, times: 1 })
  }
  async function write(entries: Iterable<AuditEntry>): Promise<void> {
    const all = [...entries]
    if (all.length > 0) await db.transact((trx) => insertAuditEntries(trx, all))
  }
  async function flushRefusals(): Promise<void> {
    const due = refusals
    refusals = new Map()
    await write(due.values())
  }
  async function flushProbes(): Promise<void> {
    const due = probes
    probes = new Map()
    await write(due.values())
  }
  const probesAreDue = (): boolean => {
    const [oldest] = probes.values()
    return oldest !== undefined && clock.now() - oldest.at >= PROBE_INTERVAL_MS
  }
  async function deleteSlices(deleteSlice: () => Promise<number>, signal: AbortSignal): Promise<number> {
    let swept = 0
    for (;;) {
      signal.throwIfAborted()
      const deleted = await deleteSlice()
      swept += deleted
      if (deleted < ROWS_PER_SLICE) return swept
    }
  }

  const log: AuditLog = {
    async record(event) {
      const at = clock.now()
      await db.transact((trx) => insertAuditEntries(trx, [{ ...event, at, lastAt: at, times: 1 }]))
    },
    refused(event) {
      const { traceId: _differs, ...same } = event
      const own = JSON.stringify(Object.values(same))
      if (refusals.has(own) || refusals.size < MAX_DIFFERENT) return gather(refusals, own, event)
      const ofAddress = `${event.address} ${event.code}`
      if (refusals.has(ofAddress) || refusals.size < MAX_DIFFERENT + MAX_ADDRESSES) {
        return gather(refusals, ofAddress, summary({ ...event, userId: '', action: MANY }))
      }
      gather(refusals, `${event.code}`, summary({ ...event, address: '', userId: '', action: MANY }))
    },
    probed(event) {
      const address = probes.has(event.address) || probes.size < MAX_DIFFERENT ? event.address : ''
      gather(probes, address, summary({ ...event, address, userId: ANONYMOUS.userId, action: PROBE }))
    },
    page: (filter, page) => pageAuditLog(db.read, filter, page),
    async flush() {
      await flushRefusals()
      await flushProbes()
    },
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(INTERVAL_MS, signal).catch(() => {})
        await flushRefusals().catch(onError)
        if (signal.aborted || probesAreDue()) await flushProbes().catch(onError)
      }
    },
    async sweep(signal) {
      const before = clock.now() - reserveDays * DAY_MS
      const old = await deleteSlices(
        () => db.transact((trx) => deleteOldAuditEntries(trx, before, ROWS_PER_SLICE)),
        signal,
      )
      const oldestKept = await findOldestRefusalToKeep(db.read, maxRefusals)
      if (oldestKept === undefined) return old
      const beyond = () => db.transact((trx) => deleteOldRefusals(trx, oldestKept, ROWS_PER_SLICE))
      return old + (await deleteSlices(beyond, signal))
    },
  }
  return log
}

/** What a client can vary without end is left out. */
function summary({
  address,
  code,
  traceId,
  userId,
  action,
}: Pick<AuditEvent, 'address' | 'code' | 'traceId' | 'userId' | 'action'>): AuditEvent {
  const about = { appId: null, project: null, repo: null, resource: null }
  return { address, code, traceId, userId, action, ...about, outcome: 'REFUSED' }
}
