/**
 * Batches on their way to one remote: with several links at it only so many go at once, and of those that wait the one goes that has had
 * the fewest bytes, by class, then by task, then by link. Memory only.
 */
export interface FairGate {
  /** The place of one link, until it is closed. */
  join(place: GatePlace): GateSeat
}
export interface GatePlace {
  /** Changes as they come go before what was there already, which keeps a tenth. */
  readonly kind: TrafficKind
  readonly taskKey: string
}
/** Changes as they come, and what was there already. */
export type TrafficKind = 'live' | 'backfill'
export interface GateSeat {
  /**
   * Waits for its turn. @param cost bytes, with what each file costs besides them. @returns what ends the turn, to be called once.
   * @throws the signal's reason.
   */
  enter(cost: number, signal: AbortSignal): Promise<() => void>
  close(): void
}

/** Shares of what both want; one alone gets all. */
export const WEIGHTS: Readonly<Record<TrafficKind, number>> = { live: 9, backfill: 1 }
/** One that comes back after a pause is owed no more than this, the largest batch, by those that went on meanwhile. */
const MOST_OWED_BYTES = 64 * 1024 * 1024

interface Level {
  readonly above: Level | undefined
  readonly name: string
  readonly weight: number
  readonly inside: Map<string, Level>
  readonly waiters: Waiter[]
  readonly waiting: Set<Level>
  /** Bytes that went, by weight. */
  served: number
  /** Where that count stands for those inside. */
  reached: number
  /** Seats in it. */
  holders: number
  /** Of a link: batches on their way. */
  underWay: number
}
interface Waiter {
  readonly cost: number
  readonly go: () => void
}

/** @param most batches at once, when more than one link is there. */
export function createFairGate(most: () => number): FairGate {
  const root = createLevel(undefined, '', 1)
  let underWay = 0
  let links = 0
  let seats = 0

  function serve(): void {
    for (;;) {
      const isFull = seats > 1 && underWay >= most()
      const leaf = nextIn(root, isFull)
      if (leaf === undefined) return
      const waiter = leaf.waiters[0]!
      dequeue(leaf, waiter)
      charge(leaf, waiter.cost)
      leaf.underWay++
      underWay++
      waiter.go()
    }
  }

  return {
    join({ kind, taskKey }) {
      const task = hold(hold(root, kind, WEIGHTS[kind]), taskKey, 1)
      const leaf = hold(task, String(links++), 1)
      seats++
      return {
        enter: (cost, signal) =>
          new Promise((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason)
            let isOver = false
            const leave = () => {
              if (isOver) return
              isOver = true
              leaf.underWay--
              underWay--
              serve()
            }
            const give = () => {
              dequeue(leaf, waiter)
              reject(signal.reason)
            }
            const go = () => {
              signal.removeEventListener('abort', give)
              resolve(leave)
            }
            const waiter = { cost, go }
            signal.addEventListener('abort', give, { once: true })
            enqueue(leaf, waiter)
            serve()
          }),
        close() {
          seats--
          for (const level of upwards(leaf)) if (--level.holders === 0) level.above?.inside.delete(level.name)
          serve()
        },
      }
    },
  }
}

function createLevel(above: Level | undefined, name: string, weight: number): Level {
  const counts = { served: above?.reached ?? 0, reached: 0, holders: 0, underWay: 0 }
  return { above, name, weight, inside: new Map(), waiters: [], waiting: new Set(), ...counts }
}
function hold(above: Level, name: string, weight: number): Level {
  const level = above.inside.get(name) ?? createLevel(above, name, weight)
  above.inside.set(name, level)
  level.holders++
  return level
}

/** The level itself, then all above it but the gate itself. */
function* upwards(leaf: Level): Generator<Level> {
  for (let level = leaf; level.above !== undefined; level = level.above) yield level
}

/** Where the one waits that has had least. When it is full, only a link with nothing on its way goes: none waits for another's hang-up. */
function nextIn(level: Level, isFull: boolean): Level | undefined {
  if (level.waiters.length > 0) return isFull && level.underWay > 0 ? undefined : level
  let served = Number.POSITIVE_INFINITY
  let next: Level | undefined
  for (const inner of level.waiting) {
    const leaf = inner.served < served ? nextIn(inner, isFull) : undefined
    if (leaf === undefined) continue
    served = inner.served
    next = leaf
  }
  return next
}

function charge(leaf: Level, cost: number): void {
  for (const level of upwards(leaf)) {
    const { above, weight } = level
    level.served = Math.max(level.served, above!.reached - MOST_OWED_BYTES)
    above!.reached = Math.max(above!.reached, level.served)
    level.served += cost / weight
  }
}

function enqueue(leaf: Level, waiter: Waiter): void {
  leaf.waiters.push(waiter)
  for (const level of upwards(leaf)) {
    const above = level.above!
    if (above.waiting.has(level)) return
    level.served = Math.max(level.served, above.reached - MOST_OWED_BYTES)
    above.waiting.add(level)
  }
}
function dequeue(leaf: Level, waiter: Waiter): void {
  const at = leaf.waiters.indexOf(waiter)
  if (at >= 0) leaf.waiters.splice(at, 1)
  for (const level of upwards(leaf)) {
    if (level.waiters.length > 0 || level.waiting.size > 0) return
    level.above!.waiting.delete(level)
  }
}
