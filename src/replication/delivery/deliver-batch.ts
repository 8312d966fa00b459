import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { addSums, EMPTY_SUM, negated, type RangeSum, rowIdOf, sumOfRow } from '../../core/fingerprint.ts'
import type { Random } from '../../core/ids.ts'
import { contentLanes } from '../../core/lanes.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { FrameStream, ItemOutcome, OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import type { RemoteRow } from '../../remotes/cluster/frames/frame.ts'
import type { ConflictStrategy } from '../../tasks/task.ts'
import type { Concurrency } from '../limits/concurrency.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { Contents, Supply } from './contents.ts'
import type { Outcome } from './outcome.ts'
import type { BlobFailure } from './send-blobs.ts'
import { ABSENT, comparedLanes, type DeletionItem, type FileItem, sizeOf, type WorkItem } from './work-item.ts'

export interface DeliveryContext {
  readonly stream: FrameStream
  readonly contents: Contents
  /** Of the stream. */
  readonly rate: RateLimit
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

/** What came of one attempt on one artifact. */
type Attempt = Omit<Outcome, 'attempts' | 'startedAt' | 'endedAt'> & { readonly again?: Again }
/** To be tried again: after a pause, or at once, because more is known. */
type Again = { readonly after: 'pause' | 'nothing'; readonly item: WorkItem }

/** Of attempts on one artifact that only learnt that the target changed meanwhile. */
const MAX_SURPRISES = 5
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
  const sent = new Set<string>()
  let pauses = 0
  let surprises = 0
  for (let pending = batch, attempts = 1; pending.length > 0; attempts++) {
    const again: Again[] = []
    for (const { again: wanted, ...attempt } of await attemptAll(pending, ctx, signal)) {
      const more = wanted?.after === 'pause' ? pauses < ctx.retryDelaysMs.length : surprises < MAX_SURPRISES
      const { path } = attempt.item
      if (attempt.blob === 'sent') sent.add(path)
      const blob = attempt.blob === 'not-sent' && sent.has(path) ? 'sent' : attempt.blob
      if (wanted !== undefined && more) again.push(wanted)
      else settled.push({ ...attempt, blob, attempts, startedAt, endedAt: ctx.clock.now() })
    }
    if (ctx.stopAtFailure && settled.some(({ result }) => result === 'failed')) return settled
    pending = again.map(({ item }) => item)
    if (again.some(({ after }) => after === 'pause')) {
      await ctx.clock.sleep(jittered(ctx.retryDelaysMs[pauses++]!, ctx.random), signal)
    } else surprises++
  }
  return settled
}
const jittered = (delayMs: number, random: Random) => delayMs * (0.75 + random.next() / 2)

async function attemptAll(items: readonly WorkItem[], ctx: DeliveryContext, signal: AbortSignal): Promise<Attempt[]> {
  const wanted = items.flatMap((item) => (item.kind === 'file' && !isAsked(item, ctx) ? [item.file] : []))
  const supply = await ctx.contents.supply(wanted, signal)
  let outcome: 'arrived' | 'failed' = 'failed'
  try {
    const { ready, done, waiting } = sorted(items, supply, ctx)
    if (done.some(({ again }) => again !== undefined)) ctx.concurrency.congested()
    const sent = await sendAll(ready, supply, ctx, signal)
    outcome = 'arrived'
    // They are others', and may take long.
    await unlessAborted(Promise.all(waiting.map((item) => supply.elsewhere.get(digestOf(item)!))), signal)
    return [...done, ...sent, ...waiting.map((item) => attemptAgain(item))]
  } finally {
    supply.settle(outcome)
  }
}

/** A file that the target is known to have otherwise, and may keep so, goes without its content until the target wants that. */
const isAsked = ({ expect, wanted }: FileItem, { conflictStrategy }: DeliveryContext): boolean =>
  expect.is === 'row' && wanted === undefined && conflictStrategy !== 'OVERWRITE'

/**
 * What can go now, what cannot, and what waits, for somebody else's bytes or, with `stopAtFailure`, for a failure before it that may
 * pass.
 */
function sorted(items: readonly WorkItem[], { failed, elsewhere }: Supply, { stopAtFailure }: DeliveryContext) {
  const ready: WorkItem[] = []
  const waiting: WorkItem[] = []
  const done: Attempt[] = []
  for (const [index, item] of items.entries()) {
    const digest = digestOf(item)
    const failure = digest && failed.get(digest)
    if (failure !== undefined) {
      done.push(contentFailed(item, failure))
      if (stopAtFailure) return { ready, waiting: [...waiting, ...items.slice(index + 1)], done }
    } else if (digest !== undefined && elsewhere.has(digest)) waiting.push(item)
    else ready.push(item)
  }
  return { ready, waiting, done }
}

async function sendAll(
  items: readonly WorkItem[],
  { inline, ours }: Supply,
  ctx: DeliveryContext,
  signal: AbortSignal,
): Promise<Attempt[]> {
  const carried = new Set<Digest>()
  const bearers = new Set<WorkItem>()
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
  for (const item of items) {
    const digest = digestOf(item)
    const isFirst = digest !== undefined && !carried.has(digest)
    const content = isFirst ? inline.get(digest) : undefined
    if (isFirst) carried.add(digest)
    if (isFirst && ours.has(digest)) {
      bearers.add(item)
      sentBytes += sizeOf(item)
    }
    slice.push(item.kind === 'file' ? entryOf(item, content, ctx) : deleteOf(item, ctx))
    sliceBytes += content?.length ?? 0
    if (sliceBytes < SLICE_BYTES) continue
    const waiting = ctx.rate.take(sliceBytes, signal)
    sliceBytes = 0
    if (waiting === undefined) continue
    flush()
    await waiting
  }
  if (sliceBytes > 0) await ctx.rate.take(sliceBytes, signal)
  if (slice.length > 0) flush()
  const outcomes = (await Promise.all(answers)).flat()
  return items.flatMap((item, index) => attemptOf(item, outcomes[index]!, bearers.has(item), ctx))
}

const digestOf = (item: WorkItem): Digest | undefined => (item.kind === 'file' ? item.file.digest : undefined)

function entryOf({ file, expect }: FileItem, content: Buffer | undefined, ctx: DeliveryContext): OutgoingItem {
  return {
    type: 'entry',
    path: file.path,
    digest: file.digest,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    crc64: file.crc64,
    metadata: ctx.includeMetadata ? userEntries(file) : null,
    origin: ctx.originOf(file.origin),
    hlc: file.hlc,
    via: [],
    expiresAt: file.expiresAt,
    createdBy: file.createdBy,
    createdAt: file.createdAt,
    modifiedBy: file.modifiedBy,
    modifiedAt: file.modifiedAt,
    expect,
    content,
  }
}
function deleteOf({ path, tombstone, expect }: DeletionItem, ctx: DeliveryContext): OutgoingItem {
  const { hlc, origin, deletedBy } = tombstone
  return { type: 'delete', path, origin: ctx.originOf(origin), hlc, deletedBy, expect }
}
const userEntries = ({ metadata }: FileItem['file']) =>
  metadata.length === 0 ? metadata : metadata.filter((entry) => entry.system !== true)

/** Nothing when the target left it alone because an earlier one failed. */
function attemptOf(
  item: WorkItem,
  { result, reason, remote }: ItemOutcome,
  blobSent: boolean,
  { includeMetadata }: DeliveryContext,
): Attempt[] {
  const blob = blobSent ? 'sent' : 'not-sent'
  const base = { item, blob, conflict: false } as const
  const failed = (why: string, again?: Again): Attempt => ({
    ...base,
    result: 'failed',
    reason: `File [${item.path}] ${why}`,
    ...(again && { again }),
  })
  switch (result) {
    case 'written':
      return [{ ...base, result: 'written' }]
    case 'replaced':
      return [{ ...base, result: 'written', conflict: true }]
    case 'delivered':
      return [{ ...base, result: 'written', blob: 'not-sent' }]
    case 'delivered-replaced':
      return [{ ...base, result: 'written', blob: 'not-sent', conflict: true }]
    case 'unchanged':
    case 'superseded':
      return [{ ...base, result: 'unchanged' }]
    case 'kept':
      return [{ ...base, result: 'kept', conflict: true, delta: deltaOf(item, remote) }]
    case 'conflict':
      return [{ ...failed(''), reason, conflict: true }]
    case 'changed': {
      const compared = comparedLanes(includeMetadata)
      const expect = remote === null ? ABSENT : ({ is: 'row', id: rowIdOf(remote, compared) } as const)
      return [
        failed('could not be written: it kept changing at the target', { after: 'nothing', item: { ...item, expect } }),
      ]
    }
    case 'no-blob':
      return [
        failed('could not be written: its content did not stay at the target', {
          after: 'nothing',
          item: item.kind === 'file' ? { ...item, wanted: true } : item,
        }),
      ]
    case 'retry':
      return [failed(`could not be written: ${reason}`, { after: 'pause', item })]
    case 'refused':
      return [failed(`was refused: ${reason}`)]
    case 'not-tried':
      return []
  }
}

const attemptAgain = (item: WorkItem): Attempt => ({
  item,
  result: 'failed',
  conflict: false,
  blob: 'not-sent',
  reason: `File [${item.path}] could not be sent: another transfer of the same content kept failing`,
  again: { after: 'nothing', item },
})

function contentFailed(item: WorkItem, failure: BlobFailure): Attempt {
  const reason = `File [${item.path}] could not be sent: ${failure.reason}`
  const outcome = { item, result: 'failed', reason, conflict: false, blob: 'failed' } as const
  return failure.retryable ? { ...outcome, again: { after: 'pause', item } } : outcome
}

/** The target's row minus ours. */
function deltaOf(item: WorkItem, remote: RemoteRow | null): RangeSum {
  const theirs = remote === null ? EMPTY_SUM : sumOfRow(remote)
  if (item.kind === 'deletion') return theirs
  const { path, digest, sizeBytes, metadataLanes } = item.file
  const ours = sumOfRow({ content: contentLanes(path, digest, sizeBytes), metadata: metadataLanes })
  return addSums(theirs, negated(ours))
}
