import { hasCode } from '../../core/errors.ts'
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
import { leafItems } from './leaf-items.ts'
import { createLedgerIndex, type LedgerEntry } from './ledger-index.ts'
import { matchAnswer } from './match-answer.ts'
import type { Side } from './refine.ts'
import { takeAnswer } from './take-answer.ts'
import { createTurns } from './turns.ts'

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
  /** `leaves`: all rows are said one by one, whatever they add up to. */
  readonly by?: 'sums' | 'leaves'
  /** Stop when more paths than this are named; undefined: name them all. */
  readonly atMost?: number
}

export interface Differences extends Found {
  /** False: there were more than `atMost`, and what is not named may differ as well. */
  readonly complete: boolean
  readonly rounds: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Rounds grow with the rows that there are, here, in the ledger, and among what was found; even the longest paths need fewer. */
const LEAST_ROUNDS = 100
const ROWS_PER_ROUND = 32
/** Ranges to be asked for: about as many as rows, and the answer to a few whole messages. */
const LEAST_PENDING = 200_000
/** A target answers so many ranges of one message. */
const MAX_ASKED = 16_384
const WORK_PER_TURN = 1_024
/** After an answer that had no room for everything, less is asked at a time. */
const LEAST_MESSAGE_BYTES = 64 * 1024

/**
 * The source's side of reconciliation (sync.md B.4): names all paths of the scope in which the target differs from the source plus the
 * ledger. Rows that change meanwhile, on either side, may be named without reason; rows that do not change are never left out.
 * @throws NotOurProtocol when the answers make no sense, or lead nowhere.
 */
export async function reconcile(order: Reconciliation, signal: AbortSignal): Promise<Differences> {
  const { local, compared, scope, atMost = Number.POSITIVE_INFINITY } = order
  const side: Side = { local, compared, ledger: await createLedgerIndex(order.ledger) }
  const findings = createFindings(compared)
  const count = { rounds: 0, sentBytes: 0, receivedBytes: 0 }
  let maxBytes = MAX_MESSAGE_BYTES
  const first = await (order.by === 'leaves' ? leafItems : firstItems)(side, scope)
  let pending = first.items
  const checkEnd = () => {
    const known = first.rows + order.ledger.length + findings.named()
    if (count.rounds >= LEAST_ROUNDS + known / ROWS_PER_ROUND || pending.length > LEAST_PENDING + known) {
      throw new NotOurProtocol(`the answers of the target lead to no end: ${count.rounds} rounds about ${known} paths`)
    }
  }
  while (pending.length > 0 && findings.named() <= atMost) {
    signal.throwIfAborted()
    checkEnd()
    const { message, asked, taken } = await compose(side, pending, maxBytes)
    const bytes = await order.ask(message, signal)
    count.rounds++
    count.sentBytes += message.length
    count.receivedBytes += bytes.length
    const answer = await readAnswer(bytes, compared)
    maxBytes = answer.partial ? Math.max(LEAST_MESSAGE_BYTES, maxBytes / 4) : Math.min(MAX_MESSAGE_BYTES, maxBytes * 2)
    // What differs goes first, so that little is pending at a time, and all of it stays in order.
    pending = [...(await takeAnswer(side, await matchAnswer(asked, answer), findings)), ...pending.slice(taken)]
  }
  return { ...findings.all(), complete: pending.length === 0, ...count }
}

/** As many of the first items as there is room for; the first one in any case. */
async function compose(side: Side, all: readonly Item[], maxBytes: number) {
  const pending = all.slice(0, MAX_ASKED)
  const turn = createTurns(WORK_PER_TURN)
  let writer = createReconWriter(side.compared, maxBytes)
  const asked: Asked[] = []
  let taken = 0
  const said = saidInOrder(side, pending)
  while (taken < pending.length) {
    const next = await said(taken)
    const parts = next.map(({ part }) => part)
    for (const { lines } of next) await turn(1 + lines.length)
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
