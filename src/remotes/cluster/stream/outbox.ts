import { messageOf } from '../../../core/errors.ts'
import { LinkDown } from '../../transport/failures.ts'
import { remoteText } from '../../transport/remote-text.ts'
import type { ItemOutcome, OutgoingItem } from '../frame-stream.ts'
import type { AckFrame, ItemResult } from '../frames/frame.ts'
import type { FrameEncoder } from '../frames/frame-encoder.ts'

/** Items of one stream on their way: first waiting, then sent under a number, then settled by an acknowledgement. */
export interface Outbox {
  /** @returns outcomes in the order of the items. Rejects with what `fail` is given. */
  send(items: readonly OutgoingItem[]): Promise<ItemOutcome[]>
  /** A barrier goes out behind what waits. */
  flush(): void
  readonly waiting: number
  /** Sent, not acknowledged. */
  readonly underWay: number
  /** Gives waiting items their numbers and their place in the encoder, until `budgetBytes` are passed or none is left. */
  fill(encoder: FrameEncoder, budgetBytes: number): Filled
  /** @returns how many items the target wrote. @throws LinkDown when it speaks of what was not sent, or was settled before. */
  settle(ack: AckFrame): number
  /** Items that acknowledgements settled, over all requests. */
  readonly settledInAll: number
  /** One of them failed for good. */
  readonly hasFailed: boolean
  /** Numbers begin at 1 again: for the next request. Nothing may be under way. */
  restart(): void
  /** Settles all that wait without sending them. */
  refuseWaiting(outcome: ItemOutcome): void
  fail(error: unknown): void
}
export interface Filled {
  readonly frameBytes: number
  readonly contentBytes: number
}

interface Sending {
  readonly outcomes: ItemOutcome[]
  left: number
  readonly resolve: (outcomes: ItemOutcome[]) => void
  readonly reject: (error: unknown) => void
}
interface Placed {
  readonly sending: Sending
  readonly index: number
}
interface Waiting extends Placed {
  readonly item: OutgoingItem
}

/** Results after which the target tries nothing more, where the stream stops at failures. */
const FAILURES: ReadonlySet<ItemResult> = new Set(['refused', 'conflict'])
const WROTE: ReadonlySet<ItemResult> = new Set(['written', 'replaced'])
const WRITTEN: ItemOutcome = { result: 'written', reason: '', remote: null }

export function createOutbox(): Outbox {
  const waiting = createFifo<Waiting>()
  const sent = createFifo<Placed>()
  /** Numbers up to this one are settled. */
  let settled = 0
  let settledInAll = 0
  let hasFailed = false
  let isBarrierDue = false
  let barriers = 0

  function settleOne({ sending, index }: Placed, outcome: ItemOutcome): void {
    sending.outcomes[index] = outcome
    if (--sending.left === 0) sending.resolve(sending.outcomes)
  }

  return {
    send(items) {
      const { promise, resolve, reject } = Promise.withResolvers<ItemOutcome[]>()
      // Whoever fails the stream tells it to the caller of `end` as well; no send has to be waited for.
      promise.catch(() => undefined)
      const sending: Sending = { outcomes: new Array(items.length), left: items.length, resolve, reject }
      if (items.length === 0) resolve([])
      for (const [index, item] of items.entries()) waiting.push({ item, sending, index })
      return promise
    },
    flush() {
      isBarrierDue = waiting.length > 0
    },
    get waiting() {
      return waiting.length
    },
    get underWay() {
      return sent.length
    },
    fill(encoder, budgetBytes) {
      let [frameBytes, contentBytes] = [0, 0]
      while (frameBytes < budgetBytes) {
        const next = waiting.shift()
        if (next === undefined) break
        const { item } = next
        try {
          frameBytes += encoder.addItem(item, settled + sent.length + 1)
        } catch (error) {
          settleOne(next, { result: 'refused', reason: `it cannot be sent: ${messageOf(error)}`, remote: null })
          continue
        }
        sent.push(next)
        const carriesContent = item.type === 'entry' || item.type === 'content'
        if (carriesContent && item.content !== undefined) contentBytes += item.content.length
      }
      if (isBarrierDue && waiting.length === 0) {
        isBarrierDue = false
        frameBytes += encoder.add({ type: 'barrier', seq: ++barriers })
      }
      return { frameBytes, contentBytes }
    },
    settle(ack) {
      const special = exceptionsOf(ack, settled, settled + sent.length)
      let wrote = 0
      while (settled < ack.hi) {
        const found = special.get(++settled)
        settledInAll++
        const outcome = found ?? WRITTEN
        if (WROTE.has(outcome.result)) wrote++
        if (FAILURES.has(outcome.result)) hasFailed = true
        settleOne(sent.shift()!, outcome)
      }
      return wrote
    },
    get settledInAll() {
      return settledInAll
    },
    get hasFailed() {
      return hasFailed
    },
    restart() {
      settled = 0
    },
    refuseWaiting(outcome) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) settleOne(next, outcome)
    },
    fail(error) {
      for (const queue of [sent, waiting]) {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) next.sending.reject(error)
      }
    },
  }
}

/** Outcomes by item. Every item is settled once, in order. */
function exceptionsOf({ hi, seq, exceptions }: AckFrame, settled: number, sent: number): Map<number, ItemOutcome> {
  if (hi > sent) throw new LinkDown(`the target acknowledged item ${hi}, where ${sent} were sent`)
  // Only that of a barrier may settle nothing.
  if (hi < settled || (hi === settled && seq === 0)) throw new LinkDown(`the target acknowledged item ${hi} twice`)
  const found = new Map<number, ItemOutcome>()
  for (const { item, result, reason, remote } of exceptions) {
    if (item <= settled || found.has(item)) throw new LinkDown(`the target settled item ${item} twice`)
    found.set(item, { result, reason: remoteText(reason), remote })
  }
  return found
}

interface Fifo<T> {
  readonly length: number
  push(item: T): void
  shift(): T | undefined
}

/** `Array.shift` moves all that is left; this one moves it once in a while. */
function createFifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = []
  let head = 0
  return {
    get length() {
      return items.length - head
    },
    push: (item) => void items.push(item),
    shift() {
      if (head === items.length) return undefined
      const item = items[head]
      items[head++] = undefined
      if (head > 1024 && head * 2 > items.length) {
        items = items.slice(head)
        head = 0
      }
      return item
    },
  }
}
