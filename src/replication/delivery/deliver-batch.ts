import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { Random } from '../../core/ids.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { FrameStream, ItemOutcome, OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import type { ConflictStrategy } from '../../tasks/task.ts'
import type { Concurrency } from '../limits/concurrency.ts'
import type { GateSeat } from '../limits/fair-gate.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { type Again, type Attempt, attemptAgain, attemptOf, contentFailed } from './attempt.ts'
import type { Contents, Supply } from './contents.ts'
import { frameOf } from './item-frames.ts'
import { blobsOf, type Outcome } from './outcome.ts'
import { filesOf, sizeOf, type WorkItem } from './work-item.ts'

export interface DeliveryContext {
  readonly stream: FrameStream
  readonly contents: Contents
  /** Of the stream. */
  readonly rate: RateLimit
  /** Of the link, among those to the same target; missing: it waits for nobody. */
  readonly turns?: GateSeat | undefined
  readonly concurrency: Pick<Concurrency, 'acked' | 'congested'>
  readonly includeMetadata: boolean
  readonly conflictStrategy: ConflictStrategy
  /** FAST_FAIL: what comes after the first file that failed is left alone, and has no outcome. */
  readonly stopAtFailure: boolean
  /** Cluster id of the last writer of a row; `origin` 0 is this cluster. */
  originOf(origin: number): string
  readonly clock: Clock
  readonly random: Random
  /** Waits between attempts on an artifact that the target could not take for now. */
  readonly retryDelaysMs: readonly number[]
}

/** Of attempts on one artifact that only learnt that the target changed meanwhile. */
const MAX_SURPRISES = 5
/** However long a target asks to be left alone. */
const MOST_RETRY_AFTER_MS = 5 * 60_000
/** What a file costs besides its bytes, as bytes. */
const ITEM_BYTES = 6_000
/** With a limit of its rate a batch goes out in slices of about this size. */
const SLICE_BYTES = 128 * 1024

/**
 * Brings one batch of files to the target: asks which contents it lacks, sends them with the files, and hears what became of each.
 * Artifacts that failed for a passing reason are tried again, the rest of the batch is not held back by them.
 * Idempotent: files the target has already are found equal. @throws LinkDown, NotOurProtocol, and RemoteRefusal when the target
 * refuses the stream as a whole.
 */
export async function deliverBatch(
  batch: readonly WorkItem[],
  ctx: DeliveryContext,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const startedAt = ctx.clock.now()
  const settled: Outcome[] = []
  /** Contents that travelled, maybe not with the last attempt. */
  const sent = new Map<string, number>()
  let pauses = 0
  let surprises = 0
  for (let pending = batch, attempts = 1; pending.length > 0; attempts++) {
    const again: Again[] = []
    let retryAfterMs = 0
    for (const { again: wanted, ...attempt } of await attemptInTurn(pending, ctx, signal)) {
      const more = wanted?.after === 'pause' ? pauses < ctx.retryDelaysMs.length : surprises < MAX_SURPRISES
      const { path } = attempt.item
      const ofAll = (sent.get(path) ?? 0) + blobsOf(attempt).sent
      sent.set(path, ofAll)
      const blob = attempt.blob === 'not-sent' && ofAll > 0 ? 'sent' : attempt.blob
      const blobs = attempt.item.kind === 'version' ? { ...blobsOf(attempt), sent: ofAll } : undefined
      if (wanted !== undefined && more) again.push(wanted)
      else settled.push({ ...attempt, blob, blobs, attempts, startedAt, endedAt: ctx.clock.now() })
      if (wanted !== undefined && more) retryAfterMs = Math.max(retryAfterMs, wanted.retryAfterMs ?? 0)
    }
    if (ctx.stopAtFailure && settled.some(({ result }) => result === 'failed')) return settled
    pending = again.map(({ item }) => item)
    if (again.some(({ after }) => after === 'pause')) {
      const pauseMs = jittered(ctx.retryDelaysMs[pauses++]!, ctx.random)
      await ctx.clock.sleep(Math.max(pauseMs, Math.min(retryAfterMs, MOST_RETRY_AFTER_MS)), signal)
    } else surprises++
  }
  return settled
}
const jittered = (delayMs: number, random: Random) => delayMs * (0.75 + random.next() / 2)

/** Only what is on its way takes a turn: a pause before the next attempt holds nobody up. */
async function attemptInTurn(items: readonly WorkItem[], ctx: DeliveryContext, signal: AbortSignal) {
  const cost = items.reduce((sum, item) => sum + sizeOf(item) + ITEM_BYTES, 0)
  const leave = await ctx.turns?.enter(cost, signal)
  try {
    return await attemptAll(items, ctx, signal)
  } finally {
    leave?.()
  }
}

async function attemptAll(items: readonly WorkItem[], ctx: DeliveryContext, signal: AbortSignal): Promise<Attempt[]> {
  const wanted = items.flatMap((item) => (isAsked(item, ctx) ? [] : filesOf(item)))
  const supply = await ctx.contents.supply(wanted, signal)
  let outcome: 'arrived' | 'failed' = 'failed'
  try {
    const { ready, done, waiting } = sorted(items, supply, ctx)
    if (done.some(({ again }) => again !== undefined)) ctx.concurrency.congested()
    const aside = waiting.filter(({ kind }) => kind === 'version')
    const sent = await sendAll(ready, aside, supply, ctx, signal)
    outcome = 'arrived'
    // They are others', and may take long.
    await unlessAborted(Promise.all(waiting.flatMap((item) => elsewhereOf(item, supply))), signal)
    return [...done, ...sent, ...waiting.map((item) => attemptAgain(item))]
  } finally {
    supply.settle(outcome)
  }
}

/** A file that the target is known to have otherwise, and may keep so, goes without its content until the target wants that. */
function isAsked(item: WorkItem, { conflictStrategy }: DeliveryContext): boolean {
  if (item.kind !== 'file' && item.kind !== 'version') return false
  const isUnsure = item.kind === 'file' && item.unsure === true
  return (item.expect.is === 'row' || isUnsure) && item.wanted === undefined && conflictStrategy !== 'OVERWRITE'
}

/**
 * What can go now, what cannot, and what waits, for somebody else's bytes or, with `stopAtFailure`, for a failure before it that may
 * pass.
 */
function sorted(items: readonly WorkItem[], supply: Supply, { stopAtFailure }: DeliveryContext) {
  const { failed, elsewhere } = supply
  const ready: WorkItem[] = []
  const waiting: WorkItem[] = []
  const done: Attempt[] = []
  for (const [index, item] of items.entries()) {
    const digests = filesOf(item).map(({ digest }) => digest)
    const lost = digests.find((digest) => failed.has(digest))
    const failure = lost && failed.get(lost)
    if (failure !== undefined) {
      done.push(contentFailed(item, failure, supply))
      if (stopAtFailure) return { ready, waiting: [...waiting, ...items.slice(index + 1)], done }
    } else if (digests.some((digest) => elsewhere.has(digest))) waiting.push(item)
    else ready.push(item)
  }
  return { ready, waiting, done }
}

/** @param aside versions that cannot go yet: their small contents do, as others may wait for these. */
async function sendAll(
  items: readonly WorkItem[],
  aside: readonly WorkItem[],
  { inline, ours }: Supply,
  ctx: DeliveryContext,
  signal: AbortSignal,
): Promise<Attempt[]> {
  const carried = new Set<Digest>()
  const bearers = new Map<WorkItem, number>()
  /** Frames of contents go before a version; what became of it is at this place. */
  const places: number[] = []
  let frames = 0
  const answers: Promise<ItemOutcome[]>[] = []
  let slice: OutgoingItem[] = []
  let sliceBytes = 0
  /** Of the slice, however they were sent. */
  let sentBytes = 0
  const send = async (items: readonly OutgoingItem[], bytes: number) => {
    const sentAt = ctx.clock.now()
    const outcomes = await ctx.stream.send(items)
    ctx.concurrency.acked(bytes, items.length, ctx.clock.now() - sentAt)
    return outcomes
  }
  const flush = () => {
    const answer = send(slice, sentBytes)
    // Whoever waits first hears of a broken stream; the others must not end the process.
    answer.catch(() => undefined)
    answers.push(answer)
    slice = []
    sentBytes = 0
  }
  /** With a limit of its rate, what was gathered goes out and waits. */
  function pass(): Promise<void> | undefined {
    if (sliceBytes < SLICE_BYTES) return undefined
    const waiting = ctx.rate.take(sliceBytes, signal)
    sliceBytes = 0
    if (waiting !== undefined) flush()
    return waiting
  }
  for (const item of items) {
    let content: Buffer | undefined
    for (const { digest, sizeBytes } of filesOf(item)) {
      if (carried.has(digest)) continue
      carried.add(digest)
      if (ours.has(digest)) {
        bearers.set(item, (bearers.get(item) ?? 0) + 1)
        sentBytes += sizeBytes
      }
      const found = inline.get(digest)
      if (found === undefined) continue
      sliceBytes += found.length
      if (item.kind === 'file') {
        content = found
        continue
      }
      slice.push({ type: 'content', digest, content: found })
      frames++
      const waiting = pass()
      if (waiting !== undefined) await waiting
    }
    slice.push(frameOf(item, content, ctx))
    places.push(frames++)
    const waiting = pass()
    if (waiting !== undefined) await waiting
  }
  for (const { digest } of aside.flatMap(filesOf)) {
    const content = carried.has(digest) ? undefined : inline.get(digest)
    carried.add(digest)
    if (content === undefined) continue
    slice.push({ type: 'content', digest, content })
    sliceBytes += content.length
    await pass()
  }
  if (sliceBytes > 0) await ctx.rate.take(sliceBytes, signal)
  if (slice.length > 0) flush()
  const outcomes = (await Promise.all(answers)).flat()
  return items.flatMap((item, index) => attemptOf(item, outcomes[places[index]!]!, bearers.get(item) ?? 0, ctx))
}

const elsewhereOf = (item: WorkItem, { elsewhere }: Supply) =>
  filesOf(item).flatMap(({ digest }) => elsewhere.get(digest) ?? [])
