/** Streams to one remote, dealt out evenly: among tasks first, then among the links of each. Memory only. */
export interface StreamShares {
  /** Streams that are open. */
  readonly open: number
  join(taskKey: string): StreamSeat
}

/** The part of one link. It has at least one stream, however few are welcome. */
export interface StreamSeat {
  begin(): void
  end(): void
  /** One more is welcome, and it is this link's turn. */
  mayBegin(): boolean
  /** Whether a stream begins another piece of work when it has done one: no when others joined meanwhile, or fewer are welcome. */
  mayGoOn(): boolean
  /** There is nothing to begin any more: what it does not use is dealt to the others. */
  hasEnough(): void
  leave(): void
}

interface Seat {
  readonly taskKey: string
  open: number
  isHungry: boolean
}

/** @param limit streams that are welcome at the moment. */
export function createStreamShares(limit: () => number): StreamShares {
  const seats = new Set<Seat>()
  let open = 0

  function shareOf(wanted: Seat): number {
    const shares = new Map([...seats].map((seat) => [seat, 1]))
    for (let left = limit() - seats.size; left > 0; left--) {
      const next = poorest(shares)
      if (next === undefined) break
      shares.set(next, shares.get(next)! + 1)
    }
    return shares.get(wanted) ?? 1
  }

  return {
    get open() {
      return open
    },
    join(taskKey) {
      const seat: Seat = { taskKey, open: 0, isHungry: true }
      seats.add(seat)
      return {
        begin() {
          seat.open++
          open++
        },
        end() {
          seat.open--
          open--
        },
        mayBegin: () => open < limit() && seat.open < shareOf(seat),
        mayGoOn: () => seat.open <= shareOf(seat),
        hasEnough() {
          seat.isHungry = false
        },
        leave: () => void seats.delete(seat),
      }
    },
  }
}

/** The link with fewest streams in the task with fewest, of those that can use one more. */
function poorest(shares: ReadonlyMap<Seat, number>): Seat | undefined {
  const ofTask = new Map<string, number>()
  for (const [{ taskKey }, share] of shares) ofTask.set(taskKey, (ofTask.get(taskKey) ?? 0) + share)
  let least: readonly [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  let found: Seat | undefined
  for (const [seat, share] of shares) {
    if (!seat.isHungry && share >= seat.open) continue
    const rank = [ofTask.get(seat.taskKey)!, share] as const
    if (rank[0] < least[0] || (rank[0] === least[0] && rank[1] < least[1])) {
      least = rank
      found = seat
    }
  }
  return found
}
