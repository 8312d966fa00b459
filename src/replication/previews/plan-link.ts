import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { ShardCounters } from '../../metadata/replication/exec-shards.ts'
import { listPeers } from '../../metadata/replication/peers.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { OpenAnswer } from '../../remotes/cluster/messages.ts'
import { inBatches } from '../delivery/batches.ts'
import { type DeliveryContext, deliverBatch } from '../delivery/deliver-batch.ts'
import { whyMissing } from '../delivery/detail-rows.ts'
import { countOutcomes, type Outcome } from '../delivery/outcome.ts'
import { plannedPages } from '../delivery/planned-pages.ts'
import { openUnsettled } from '../delivery/unsettled.ts'
import { filesOf, isArtifact, sizeOf, type WorkItem } from '../delivery/work-item.ts'
import type { LinkPlanner, LinkView } from '../planning/link-plan.ts'
import type { PlannedShard } from '../planning/plan-shards.ts'
import { LinkStopped, linkFate } from '../runs/stop-reasons.ts'
import { batchLimits, beginOf, originsBy } from '../runs/stream-begin.ts'
import { type CountedContents, type PlannedContents, plannedContents } from './planned-contents.ts'
import { type LinkPreview, noCounts, PLAN_CLASSES, type PlanClass, type PreviewItem, shownPath } from './preview.ts'

export interface PlanLinkDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly random: Random
  readonly planner: LinkPlanner
  /** Of this cluster. */
  readonly clusterId: string
  readonly settings: { readonly inlineMaxBytes: number; readonly batchFiles: number }
}

export interface PlannedTarget {
  readonly target: ClusterTarget
  readonly client: ClusterClient
  readonly counted: CountedContents
}

export type Planned = Pick<LinkPreview, 'creates' | 'counts' | 'counters' | 'stopped' | 'errorReason'>
type Writable<T> = { -readonly [K in keyof T]: T[K] }
type Add = (items: readonly PreviewItem[]) => Promise<void>

/**
 * Goes the way of a run with everything but its writes: the same difference, the same pieces, the same batches, judged by the target with
 * the rule that applies them. So a run that follows does the same, when nothing else changes. What went wrong is the link's reason.
 */
export async function planLink(
  deps: PlanLinkDeps,
  view: LinkView,
  { target, client, counted }: PlannedTarget,
  add: Add,
  signal: AbortSignal,
): Promise<Planned> {
  const contents = plannedContents(client, counted)
  const counts = noCounts(PLAN_CLASSES)
  const sums: Writable<ShardCounters> = { ...countOutcomes([], 0) }
  let creates: Planned['creates'] = 'nothing'
  let stopped = false

  async function take(items: readonly PreviewItem[], counters: ShardCounters): Promise<void> {
    for (const item of items) counts[item.class as PlanClass]++
    counts.SKIP += counters.unchanged
    for (const key of Object.keys(sums) as (keyof ShardCounters)[]) sums[key] += counters[key]
    await add(items)
  }
  async function takeOutcomes(outcomes: readonly Outcome[]): Promise<void> {
    await take(outcomes.flatMap(itemOf), countOutcomes(outcomes, 0))
    stopped ||= view.spec.errorStrategy === 'FAST_FAIL' && outcomes.some(({ result }) => result === 'failed')
  }
  async function work(answer: OpenAnswer): Promise<void> {
    const look = await deps.planner.look(view, answer, client, signal)
    const missing = look.missing.map(missingItem)
    await take(missing, { ...countOutcomes([], 0), failed: missing.length })
    stopped = missing.length > 0 && view.spec.errorStrategy === 'FAST_FAIL'
    await take([], {
      ...countOutcomes([], 0),
      skipped: look.difference.unchanged,
      unchanged: look.difference.unchanged,
    })
    if (stopped) return
    const shards = await deps.planner.cut(view, look)
    const judge = answer.creates === undefined ? judgeBy : takenAsNew
    await judge(answer, shards)
  }
  const limitsOf = ({ hello }: OpenAnswer) => batchLimits(deps.settings, hello.limits)
  const pagesOf = (shard: PlannedShard) => plannedPages(deps.db, view.scope, shard, deps.clock)
  async function judgeBy(answer: OpenAnswer, shards: readonly PlannedShard[]): Promise<void> {
    const { spec } = view
    const epoch = answer.head.epoch
    const unsettled = await openUnsettled({ db: deps.db, linkId: view.link.id, spec, followed: undefined })
    const earlierRuns = answer.hello.features.earlierRuns ? unsettled.runs : undefined
    const own = { stream: `${spec.recordId}/0`, fence: 0, dryRun: true, earlierRuns }
    const begin = { ...beginOf(view, deps.clusterId, epoch), ...own }
    const progress = { sent: () => undefined, acknowledged: () => undefined }
    await using stream = client.openStream(view.link.key, begin, progress, signal)
    const stopAtFailure = spec.errorStrategy === 'FAST_FAIL'
    const { includeMetadata, conflictStrategy } = spec
    const { clock, random } = deps
    const originOf = originsBy(await listPeers(deps.db.read), deps.clusterId)
    const rules = { includeMetadata, conflictStrategy, stopAtFailure, originOf, retryDelaysMs: [] }
    const delivery = { ...rules, ...UNLIMITED, clock, random, stream, contents }
    for (const shard of shards) {
      for await (const batch of inBatches(pagesOf(shard), limitsOf(answer))) {
        signal.throwIfAborted()
        const outcomes =
          shard.kind === 'kept'
            ? batch.map(keptOf)
            : await unsettled.settle(await deliverBatch(batch, delivery, signal))
        sums.fileOk += await contentsOfAsked(outcomes, contents, signal)
        await takeOutcomes(outcomes)
        if (stopped) return
      }
    }
    await stream.end()
  }
  /** There is nothing at the target that could keep anything from being written. */
  async function takenAsNew(answer: OpenAnswer, shards: readonly PlannedShard[]): Promise<void> {
    for (const shard of shards) {
      for await (const batch of inBatches(pagesOf(shard), limitsOf(answer))) {
        signal.throwIfAborted()
        const outcomes = batch.map(writtenOf)
        sums.fileOk += await contentsOfAsked(outcomes, contents, signal)
        await takeOutcomes(outcomes)
      }
    }
  }

  let errorReason: string | null = null
  try {
    const { features } = await client.greeting(signal)
    if (!features.plans) throw new LinkStopped(`[${target.name}] is of a release that cannot plan: upgrade it`)
    const answer = await client.open(view.link.key, { ...(await deps.planner.openRequest(view)), dryRun: true }, signal)
    if (answer.creates !== undefined) creates = answer.creates.project ? 'project and repository' : 'repository'
    await work(answer)
  } catch (error) {
    signal.throwIfAborted()
    if (linkFate(error) === 'defect') throw error
    errorReason = messageOf(error)
  }
  return { creates, counts, counters: { ...sums, bytes: contents.bytes }, stopped, errorReason }
}

/** Of files that were judged before their content was asked for. @returns how many contents travel. */
async function contentsOfAsked(
  outcomes: readonly Outcome[],
  contents: PlannedContents,
  signal: AbortSignal,
): Promise<number> {
  const wanted = outcomes.flatMap(({ item, result }) =>
    result === 'written' ? filesOf(item).filter(({ digest }) => !contents.hasAsked(digest)) : [],
  )
  return (await contents.supply(wanted, signal)).ours.size
}

/** No content travels, and how fast answers come says nothing of a run. */
const UNLIMITED: Pick<DeliveryContext, 'rate' | 'concurrency'> = {
  rate: { take: () => undefined, nested: () => UNLIMITED.rate, setRate: () => undefined, close: () => undefined },
  concurrency: { acked: () => undefined, congested: () => undefined },
}
const TIMES = { attempts: 1, startedAt: 0, endedAt: 0 }
const keptOf = (item: WorkItem): Outcome => ({ ...TIMES, item, result: 'kept', conflict: true, blob: 'not-sent' })
const writtenOf = (item: WorkItem): Outcome => ({
  ...TIMES,
  item,
  result: 'written',
  conflict: false,
  blob: 'not-sent',
})

/** What is equal is counted, and not named; what is said about a package is no artifact. */
function itemOf({ item, result, conflict, reason }: Outcome): PreviewItem[] {
  if (result === 'unchanged' || (result !== 'failed' && !isArtifact(item))) return []
  const isEnd = item.kind === 'deletion'
  const of = { written: isEnd ? 'DELETE' : 'SEND', kept: 'KEEP', failed: 'FAIL' } as const
  const sizeBytes = isEnd ? null : sizeOf(item)
  return [{ class: of[result], path: shownPath(item.path), sizeBytes, conflict, reason: reason ?? null }]
}
const missingItem = (path: string): PreviewItem => ({
  ...{ class: 'FAIL', path: shownPath(path), sizeBytes: null, conflict: false },
  reason: whyMissing(path),
})
