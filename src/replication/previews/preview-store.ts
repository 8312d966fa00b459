import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import {
  beginPlan,
  deletePlanSlice,
  endPlan,
  expiredPlans,
  findPlan,
  notePlanProgress,
  type PlanItem,
  pagePlanItems,
  plansUnderWay,
  putPlanItems,
} from '../../metadata/replication/plans.ts'
import type { PreviewClass, PreviewItem } from './preview.ts'

/** What was found out, kept for an hour, so that its pages are of one moment. */
export interface PreviewStore {
  /** Begins one; its items come in through the sink, and `end` makes it readable. */
  begin(kind: 'plan' | 'verify', taskKey: string | null): Promise<PreviewSink>
  /** @throws AppError RESOURCE_NOT_FOUND when there is none of this kind, or its time is over. */
  get(kind: 'plan' | 'verify', id: string): Promise<StoredPreview>
  page(id: string, ofClass: PreviewClass | undefined, page: PageRequest): Promise<Page<StoredItem>>
  /** Proofs of a task that are being found out and say how far they got, newest first. */
  underWay(taskKey: string): Promise<readonly PreviewUnderWay[]>
  /** Deletes those whose time is over. */
  sweep(signal: AbortSignal): Promise<void>
}
export interface PreviewSink {
  readonly id: string
  /** @param linkNo place of its link. */
  add(linkNo: number, items: readonly PreviewItem[]): Promise<void>
  /** Shows whoever waits how far it got; more than one a second are left out. */
  note(progress: unknown): Promise<void>
  /** Items that were left out: of each class so many are kept. */
  readonly dropped: number
  end(summary: unknown): Promise<void>
}
export interface StoredPreview {
  readonly id: string
  readonly taskKey: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly summary: unknown
}
export interface PreviewUnderWay {
  readonly id: string
  readonly createdAt: number
  readonly progress: unknown
}
export type StoredItem = PreviewItem & { readonly linkNo: number }

const KEPT_MS = 60 * 60_000
const NOTED_EVERY_MS = 1_000
const SILENT_MS = 5 * 60_000
/** Whoever makes one longer than this died. */
const MADE_MS = 24 * KEPT_MS
/** Of one class: counts are exact in any case. */
const MAX_ITEMS = 100_000
/** A transaction of a few milliseconds. */
const ITEMS_AT_ONCE = 1_000
const DELETED_AT_ONCE = 5_000
const SWEPT_AT_ONCE = 100

export function createPreviewStore({
  db,
  clock,
  ids,
}: {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly ids: Ids
}): PreviewStore {
  function sinkOf(id: string): PreviewSink {
    const counts = new Map<string, number>()
    let waiting: PlanItem[] = []
    let written = 0
    let dropped = 0
    let notedAt = 0
    const flush = async (least: number) => {
      while (waiting.length > 0 && waiting.length >= least) {
        const some = waiting.slice(0, ITEMS_AT_ONCE)
        waiting = waiting.slice(ITEMS_AT_ONCE)
        await db.transact((trx) => putPlanItems(trx, id, written, some))
        written += some.length
      }
    }
    return {
      id,
      get dropped() {
        return dropped
      },
      async add(linkNo, items) {
        for (const item of items) {
          const count = (counts.get(item.class) ?? 0) + 1
          counts.set(item.class, count)
          if (count > MAX_ITEMS) dropped++
          else waiting.push({ ...item, linkNo })
        }
        await flush(ITEMS_AT_ONCE)
      },
      async note(progress) {
        const now = clock.now()
        if (now - notedAt < NOTED_EVERY_MS) return
        notedAt = now
        await db.transact((trx) => notePlanProgress(trx, id, JSON.stringify({ ...(progress as object), at: now })))
      },
      async end(summary) {
        await flush(1)
        const expiresAt = clock.now() + KEPT_MS
        await db.transact((trx) => endPlan(trx, id, { summary: JSON.stringify(summary), expiresAt }))
      },
    }
  }

  return {
    async begin(kind, taskKey) {
      const id = ids.key()
      const createdAt = clock.now()
      await db.transact((trx) => beginPlan(trx, { id, kind, taskKey, createdAt, expiresAt: createdAt + MADE_MS }))
      return sinkOf(id)
    },
    async get(kind, id) {
      const plan = await findPlan(db.read, id, clock.now())
      if (plan === undefined || plan.kind !== kind) {
        const what = kind === 'plan' ? 'Plan' : 'Proof'
        throw new AppError(
          'RESOURCE_NOT_FOUND',
          `${what} [${id.slice(0, 80)}] not found: it is kept for an hour, ask for a new one`,
          {},
        )
      }
      return { ...plan, summary: JSON.parse(plan.summary) as unknown }
    },
    async underWay(taskKey) {
      const found = await plansUnderWay(db.read, taskKey, 'verify', clock.now())
      const rows = found.map((one) => ({ ...one, progress: JSON.parse(one.progress) as { readonly at: number } }))
      // Whoever does not say more for so long died over it.
      return rows.filter(({ progress }) => clock.now() - progress.at < SILENT_MS)
    },
    async page(id, ofClass, page) {
      const found = await pagePlanItems(db.read, id, ofClass, page)
      return { ...found, records: found.records as StoredItem[] }
    },
    async sweep(signal) {
      for (;;) {
        const expired = await expiredPlans(db.read, clock.now(), SWEPT_AT_ONCE)
        for (const id of expired) {
          let deleted: number
          do {
            signal.throwIfAborted()
            deleted = await db.transact((trx) => deletePlanSlice(trx, id, DELETED_AT_ONCE))
          } while (deleted > 0)
        }
        if (expired.length < SWEPT_AT_ONCE) return
      }
    },
  }
}
