import type { Clock } from '../../core/clock.ts'
import { type BatchLimits, inBatches } from '../delivery/batches.ts'
import { deliverCarefully } from '../delivery/careful.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { Care } from '../delivery/suspects.ts'
import type { WorkItem } from '../delivery/work-item.ts'
import type { LiveDelivery } from './live-delivery.ts'

/** Sends batches of a link that follows changes. */
export interface BatchSender {
  /** @returns what became of its items; of those only that came to an end before the first failure, where the task stops there. */
  send(items: readonly WorkItem[]): Promise<readonly Outcome[]>
}

export interface BatchSenderDeps {
  readonly delivery: Pick<LiveDelivery, 'deliver'>
  readonly clock: Pick<Clock, 'now'>
  readonly limits: BatchLimits
  readonly care: Care
  readonly stopsAtFailure: boolean
}

export function createBatchSender({ delivery, clock, limits, care, stopsAtFailure }: BatchSenderDeps): BatchSender {
  /** One of them may be what breaks the connection each time; as they are settled together, all have to get through, or to be found out. */
  async function oneByOne(
    items: readonly WorkItem[],
    deliver: (one: readonly WorkItem[]) => Promise<Outcome[]>,
    outcomes: Outcome[],
  ) {
    const isSent = (one: Outcome) => outcomes.includes(one)
    const rest = await deliverCarefully(onePage(items), {
      care: { ...care, isCareful: true, passed: () => undefined },
      deliver,
      async settle(_, some) {
        const condemned = some.filter((one) => !isSent(one))
        outcomes.push(...condemned)
        if (stopsAtFailure && condemned.length > 0) throw STOP_HERE
      },
      now: clock.now,
    })
    for (const _ of items) care.passed()
    return rest
  }

  return {
    async send(items) {
      const outcomes: Outcome[] = []
      const deliver = async (part: readonly WorkItem[]) => {
        const some = await delivery.deliver(part)
        outcomes.push(...some)
        if (stopsAtFailure && some.some(({ result }) => result === 'failed')) throw STOP_HERE
        if (some.length < part.length) throw new Error('files of a batch were left out')
        return some
      }
      try {
        const rest = care.isCareful ? await oneByOne(items, deliver, outcomes) : onePage(items)
        for await (const part of inBatches(rest, limits)) await deliver(part)
      } catch (error) {
        if (error !== STOP_HERE) throw error
      }
      return outcomes
    },
  }
}

/** The task stops at the first failure. */
const STOP_HERE = new Error('stop here')

async function* onePage(items: readonly WorkItem[]): AsyncIterable<readonly WorkItem[]> {
  if (items.length > 0) yield items
}
