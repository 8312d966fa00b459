import type { Clock } from '../core/clock.ts'
import { type Digest, digestHex } from '../core/digest.ts'
import { messageOf } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { SourceFile } from '../metadata/replication/source-files.ts'
import type { ClusterClient } from '../remotes/cluster/cluster-client.ts'
import type { ApplyResult, FileEntry, StreamRef } from '../remotes/cluster/messages.ts'
import { RemoteRefusal } from '../remotes/transport/failures.ts'
import type { ConflictStrategy, ErrorStrategy } from '../tasks/task.ts'
import type { Outcome } from './outcome.ts'
import { planCopy, type Step } from './plan-copy.ts'
import type { BlobFailure, BlobSender, TransferProgress } from './send-blobs.ts'

export interface BatchContext {
  readonly client: ClusterClient
  readonly sender: BlobSender
  readonly linkKey: string
  readonly stream: StreamRef
  readonly conflictStrategy: ConflictStrategy
  /** FAST_FAIL: what comes after the first refused file of the batch is left alone. */
  readonly errorStrategy: ErrorStrategy
  readonly includeMetadata: boolean
  /** Cluster id of the last writer of a row; `origin` 0 is this cluster. */
  originOf(origin: number): string
  readonly clock: Clock
  readonly random: Random
  /** Waits between attempts on an artifact that the target answered with a passing refusal. */
  readonly retryDelaysMs: readonly number[]
  readonly progress: TransferProgress
}

type WriteStep = Extract<Step, { do: 'write' }>
interface Planned {
  readonly file: SourceFile
  readonly step: WriteStep
}
/** What came of one attempt on one artifact. */
type Attempt = Omit<Outcome, 'attempts' | 'startedAt' | 'endedAt'> & { readonly again?: true }

/**
 * Brings one batch of files to the target: compare, send the blobs it lacks, apply in one transaction there. Artifacts that
 * failed for a passing reason are tried again, the rest of the batch is not held back by them.
 * Idempotent: files the target has already are found equal. @throws LinkDown, NotOurProtocol, and RemoteRefusal when the target
 * refuses the batch as a whole for good.
 */
export async function copyBatch(
  files: readonly SourceFile[],
  ctx: BatchContext,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const startedAt = ctx.clock.now()
  const settled: Outcome[] = []
  let pending = files
  for (let attempts = 1; pending.length > 0; attempts++) {
    const delayMs = ctx.retryDelaysMs[attempts - 1]
    const again: SourceFile[] = []
    for (const { again: wantsAgain, ...attempt } of await attemptAll(pending, ctx, signal)) {
      if (wantsAgain && delayMs !== undefined) again.push(attempt.file)
      else settled.push({ ...attempt, attempts, startedAt, endedAt: ctx.clock.now() })
    }
    pending = again
    if (pending.length > 0) await ctx.clock.sleep(jittered(delayMs!, ctx.random), signal)
  }
  return settled
}
const jittered = (delayMs: number, random: Random) => delayMs * (0.75 + random.next() / 2)

async function attemptAll(files: readonly SourceFile[], ctx: BatchContext, signal: AbortSignal): Promise<Attempt[]> {
  try {
    return await attempt(files, ctx, signal)
  } catch (error) {
    if (!(error instanceof RemoteRefusal && error.retryable)) throw error
    return files.map((file) => ({ file, ...failed(messageOf(error)), again: true, batchLost: true }))
  }
}

async function attempt(files: readonly SourceFile[], ctx: BatchContext, signal: AbortSignal): Promise<Attempt[]> {
  const offers = files.map((file) => ({
    path: file.path,
    sha256: digestHex(file.digest),
    sizeBytes: file.sizeBytes,
    metaLanes: file.metadataLanes,
    expiresAt: file.expiresAt,
  }))
  const { includeMetadata } = ctx
  const { verdicts } = await ctx.client.compare(ctx.linkKey, { ...ctx.stream, includeMetadata, offers }, signal)
  const done: Attempt[] = []
  const writes: Planned[] = []
  for (const [index, file] of files.entries()) {
    const step = planCopy(file.path, verdicts[index]!, ctx.conflictStrategy)
    if (step.do === 'write') writes.push({ file, step })
    else done.push(settledByPlan(file, step))
    if (step.do === 'fail' && ctx.errorStrategy === 'FAST_FAIL') break
  }
  const wanted = new Map(writes.filter(({ step }) => step.sendBlob).map(({ file }) => [file.digest, file]))
  const lost = await ctx.sender.send([...wanted.values()], ctx.progress, signal)
  const ready = writes.filter(({ file }) => !lost.has(file.digest))
  for (const { file, step } of writes) {
    const failure = lost.get(file.digest)
    if (failure !== undefined) done.push(blobFailed(file, step, failure))
  }
  if (ready.length === 0) return done
  const entries = ready.map((write) => entryOf(write, ctx))
  const { results } = await ctx.client.apply(ctx.linkKey, { ...ctx.stream, entries }, signal)
  const firstOf = new Set<Digest>()
  ready.forEach((write, index) => {
    const first = !firstOf.has(write.file.digest)
    firstOf.add(write.file.digest)
    done.push(applied(write, results[index]!, write.step.sendBlob && first))
  })
  return done
}

const failed = (reason: string) => ({ result: 'failed', conflict: false, blob: 'not-sent', reason }) as const

function settledByPlan(file: SourceFile, step: Exclude<Step, WriteStep>): Attempt {
  if (step.do === 'fail') return { file, ...failed(step.reason), conflict: step.conflict }
  const blob = 'not-sent'
  if (step.do === 'count') return { file, result: 'written', conflict: step.conflict, blob }
  const kept = step.as === 'conflict'
  return { file, result: kept ? 'kept' : 'unchanged', conflict: kept, blob }
}

function blobFailed(file: SourceFile, step: WriteStep, failure: BlobFailure): Attempt {
  const reason = `File [${file.path}] could not be sent: ${failure.reason}`
  const outcome = { file, ...failed(reason), conflict: step.conflict, blob: 'failed' } as const
  return failure.retryable ? { ...outcome, again: true } : outcome
}

function applied({ file, step }: Planned, answer: ApplyResult, blobSent: boolean): Attempt {
  const blob = blobSent ? 'sent' : 'not-sent'
  switch (answer.result) {
    case 'written':
      return { file, result: 'written', conflict: step.conflict, blob }
    case 'refused':
      return { file, ...failed(`File [${file.path}] was refused: ${answer.reason ?? 'no reason given'}`), blob }
    case 'changed':
    case 'no-blob': {
      const why =
        answer.result === 'changed' ? 'it kept changing at the target' : 'its content did not stay at the target'
      return { file, ...failed(`File [${file.path}] could not be written: ${why}`), blob, again: true }
    }
  }
}

function entryOf({ file, step }: Planned, ctx: BatchContext): FileEntry {
  return {
    path: file.path,
    sha256: digestHex(file.digest),
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    metadata: ctx.includeMetadata ? file.metadata.filter((entry) => entry.system !== true) : null,
    origin: ctx.originOf(file.origin),
    hlc: file.hlc,
    expiresAt: file.expiresAt,
    createdBy: file.createdBy,
    createdAt: file.createdAt,
    modifiedBy: file.modifiedBy,
    modifiedAt: file.modifiedAt,
    expect: step.expect,
    conflict: step.conflict,
  }
}
