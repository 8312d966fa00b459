import { AppError, hasCode } from '../../core/errors.ts'
import type { ComparedLanes } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import { MAX_MESSAGE_BYTES, type ReconMessage } from '../../remotes/cluster/recon/recon-message.ts'
import { readReconMessage } from '../../remotes/cluster/recon/recon-reader.ts'
import { createReconWriter } from '../../remotes/cluster/recon/recon-writer.ts'
import { NotOurProtocol } from '../../remotes/transport/failures.ts'
import { createFindings, type Differences as Found } from './findings.ts'
import type { Fingerprints } from './fingerprints.ts'
import { firstItems } from './first-items.ts'
import { type Asked, type Item, saidInOrder } from './item.ts'
import { createLedgerIndex, type LedgerEntry } from './ledger-index.ts'
import { matchAnswer } from './match-answer.ts'
import type { Side } from './refine.ts'
import { takeAnswer } from './take-answer.ts'

export type { Fingerprints } from './fingerprints.ts'
export type { LedgerEntry } from './ledger-index.ts'

export interface Reconciliation {
  readonly local: Fingerprints
  /** One round at the target: a message and its answer. */
  ask(message: Buffer, signal: AbortSignal): Promise<Buffer>
  /** What is compared; nothing else is named. */
  readonly scope: readonly PathRange[]
  readonly compared: ComparedLanes
  /** At most one entry per path; those outside of the scope do not count. */
  readonly ledger: readonly LedgerEntry[]
  /** Stop when more paths than this are named; undefined: name them all. */
  readonly atMost?: number
  /** `MAX_ROUNDS` unless a test says less. */
  readonly maxRounds?: number
}

export interface Differences extends Found {
  /** False: there were more than `atMost`, and what is not named may differ as well. */
  readonly complete: boolean
  readonly rounds: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Each may carry 1 MiB: by then a listing of the whole had been cheaper. */
const MAX_ROUNDS = 10_000
/** After an answer that had no room for everything, less is asked at a time. */
const LEAST_MESSAGE_BYTES = 64 * 1024

/**
 * The source's side of reconciliation (sync.md B.4): names all paths of the scope in which the target differs from the source plus the
 * ledger. Rows that change meanwhile, on either side, may be named without reason; rows that do not change are never left out.
 * @throws NotOurProtocol when the answers make no sense; AppError TASK_FAILED when there is no end of them.
 */
export async function reconcile(order: Reconciliation, signal: AbortSignal): Promise<Differences> {
  const { local, compared, scope, maxRounds = MAX_ROUNDS, atMost = Number.POSITIVE_INFINITY } = order
  const side: Side = { local, compared, ledger: await createLedgerIndex(order.ledger) }
  const findings = createFindings(compared)
  const count = { rounds: 0, sentBytes: 0, receivedBytes: 0 }
  let maxBytes = MAX_MESSAGE_BYTES
  let pending = await firstItems(side, scope)
  while (pending.length > 0 && findings.named() <= atMost) {
    signal.throwIfAborted()
    if (count.rounds >= maxRounds) throw endless(count.rounds)
    const { message, asked, taken } = await compose(side, pending, maxBytes)
    const bytes = await order.ask(message, signal)
    count.rounds++
    count.sentBytes += message.length
    count.receivedBytes += bytes.length
    const answer = await readAnswer(bytes, compared)
    maxBytes = answer.partial ? Math.max(LEAST_MESSAGE_BYTES, maxBytes / 4) : Math.min(MAX_MESSAGE_BYTES, maxBytes * 2)
    // What differs goes first, so that little is pending at a time, and all of it stays in order.
    pending = [...(await takeAnswer(side, matchAnswer(asked, answer), findings)), ...pending.slice(taken)]
  }
  return { ...findings.all(), complete: pending.length === 0, ...count }
}

/** As many of the first items as there is room for; the first one in any case. */
async function compose(side: Side, pending: readonly Item[], maxBytes: number) {
  let writer = createReconWriter(side.compared, maxBytes)
  const asked: Asked[] = []
  let taken = 0
  const said = saidInOrder(side, pending)
  while (taken < pending.length) {
    const next = await said(taken)
    const parts = next.map(({ part }) => part)
    if (!writer.add(parts)) {
      if (taken > 0) break
      writer = createReconWriter(side.compared)
      writer.add(parts)
    }
    asked.push(...next)
    taken++
  }
  return { message: writer.end(), asked, taken }
}

async function readAnswer(bytes: Buffer, compared: ComparedLanes): Promise<ReconMessage> {
  try {
    const answer = await readReconMessage(bytes)
    if (answer.compared === compared) return answer
  } catch (cause) {
    if (!hasCode(cause, 'REQUEST_CONTENT_INVALID', 'CLUSTER_VERSION_UNSUPPORTED')) throw cause
    throw new NotOurProtocol(`the target's answer cannot be read: ${cause.message}`, { cause })
  }
  throw new NotOurProtocol('the target compared something else than it was asked to')
}

const endless = (rounds: number): AppError =>
  new AppError('TASK_FAILED', `Reconciliation with the target came to no end in ${rounds} rounds`, { rounds })
