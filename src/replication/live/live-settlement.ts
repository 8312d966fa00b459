import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { AlarmBell } from './alarm-bell.ts'
import type { BatchesUnderWay, LiveBatch } from './batches-under-way.ts'
import { liveCheckpoint, type Progress } from './live-checkpoint.ts'
import type { LiveDelivery } from './live-delivery.ts'
import type { LiveSession } from './live-session.ts'

/** The task stops at the first failure, and there was one. */
export class FailedFast extends Error {}

/** Makes delivered batches count, in the order of the changes, and moves the link's cursor with them. */
export interface LiveSettlement {
  /** Batches were delivered. What goes wrong later rings the bell. */
  begin(): void
  /** Nothing is under way, and nothing up to this number is the link's: written down when the last checkpoint is a while ago. */
  passOver(upTo: number): Promise<void>
  /** Something was brought over since the link was opened. */
  readonly hasMoved: boolean
  /** Waits for a checkpoint that has begun. */
  end(): Promise<void>
}

interface LiveSettlementDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly batches: BatchesUnderWay
  readonly delivery: Pick<LiveDelivery, 'takeSentBytes'>
  readonly bell: AlarmBell
}

/** Between checkpoints: what a kill costs, and what uploads do not wait for. */
const SETTLE_MS = 20
/** A cursor that moved over changes that are none of the link's is written this often. */
const CURSOR_MS = 1_000

export function createLiveSettlement(
  { db, clock, batches, delivery, bell }: LiveSettlementDeps,
  { claim, work, context, ackedSeq }: LiveSession,
  signal: AbortSignal,
): LiveSettlement {
  const { spec, object, link } = work
  const place = { spec, object, linkId: link.id }
  let savedSeq = ackedSeq
  let savedAt = clock.now()
  let hasMoved = false
  let settling: Promise<void> | undefined

  function begin(): void {
    if (settling !== undefined || bell.hasFailed || batches.delivered().length === 0) return
    settling = settle()
      .catch(bell.fail)
      .finally(() => {
        settling = undefined
        begin()
        bell.ring()
      })
  }
  async function settle(): Promise<void> {
    // One transaction for what has come together.
    const soonMs = savedAt + SETTLE_MS - clock.now()
    if (soonMs > 0) await clock.sleep(soonMs, signal)
    const done = batches.delivered()
    const outcomes = done.flatMap((batch) => batch.outcomes)
    const stopsAtFailure = spec.errorStrategy === 'FAST_FAIL'
    const failed = stopsAtFailure ? outcomes.find(({ result }) => result === 'failed') : undefined
    const dealtWith = failed && new Set(outcomes.map(({ item }) => item.path))
    const paths = done.flatMap((batch) => (dealtWith ? batch.paths.filter((path) => dealtWith.has(path)) : batch.paths))
    await save({ paths, outcomes, upTo: failed === undefined ? lastSeq(done) : undefined })
    batches.settle(done)
    if (failed !== undefined) throw new FailedFast(failed.reason ?? 'failed')
  }
  async function save(progress: Omit<Progress, 'sentBytes'>): Promise<void> {
    const { outcomes, upTo } = progress
    const sentBytes = delivery.takeSentBytes()
    await liveCheckpoint({ db, clock }, claim, place, { ...progress, sentBytes })
    context.onOutcomes(outcomes, sentBytes)
    if (outcomes.length > 0) hasMoved = true
    if (upTo !== undefined) savedSeq = upTo
    savedAt = clock.now()
  }

  return {
    begin,
    async passOver(upTo) {
      if (upTo > savedSeq && clock.now() - savedAt >= CURSOR_MS) await save({ paths: [], outcomes: [], upTo })
    },
    get hasMoved() {
      return hasMoved
    },
    end: async () => settling,
  }
}

const lastSeq = (batches: readonly LiveBatch[]): number | undefined =>
  batches.findLast(({ upTo }) => upTo !== undefined)?.upTo
