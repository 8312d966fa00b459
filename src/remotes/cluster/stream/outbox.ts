import { messageOf } from '../../../core/errors.ts'
import { NotOurProtocol } from '../../transport/failures.ts'
import type { ItemOutcome, OutgoingItem } from '../frame-stream.ts'
import type { AckFrame, ItemException } from '../frames/frame.ts'
import type { FrameEncoder } from '../frames/frame-encoder.ts'

/** Items of one stream on their way: first waiting, then sent under a number, then settled by an acknowledgement. */
export interface Outbox {
  /** @returns outcomes in the order of the items. Rejects with what `fail` is given. */
  send(items: readonly OutgoingItem[]): Promise<ItemOutcome[]>
  readonly waiting: number
  /** Sent, not acknowledged. */
  readonly underWay: number
  /** Gives waiting items their numbers and their place in the encoder, until `budgetBytes` are passed or none is left. */
  fill(encoder: FrameEncoder, budgetBytes: number): Filled
  /** @returns the exceptions. @throws NotOurProtocol when it speaks of what was not sent. */
  settle(ack: AckFrame): readonly ItemException[]
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

const WRITTEN: ItemOutcome = { result: 'written', reason: '', remote: null }

export function createOutbox(): Outbox {
  const waiting = createFifo<Waiting>()
  const sent = createFifo<Placed>()
  /** Numbers up to this one are settled. */
  let settled = 0

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
        if (item.type === 'entry' && item.content !== undefined) contentBytes += item.content.length
      }
      return { frameBytes, contentBytes }
    },
    settle({ hi, exceptions }) {
      if (hi < settled || hi > settled + sent.length) {
        throw new NotOurProtocol(`the target acknowledged item ${hi}, where ${settled + sent.length} were sent`)
      }
      const special = new Map<number, ItemException>()
      for (const exception of exceptions) {
        if (exception.item <= settled) throw new NotOurProtocol(`the target settled item ${exception.item} twice`)
        special.set(exception.item, exception)
      }
      while (settled < hi) {
        const found = special.get(++settled)
        const outcome =
          found === undefined ? WRITTEN : { result: found.result, reason: found.reason, remote: found.remote }
        settleOne(sent.shift()!, outcome)
      }
      return exceptions
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
