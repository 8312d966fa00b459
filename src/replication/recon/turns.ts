import { setImmediate } from 'node:timers/promises'

/** Gives whoever else waits for the thread a turn after every so much work, in whatever unit the caller counts. */
export function createTurns(workPerTurn: number): (work: number) => Promise<void> {
  let done = 0
  return async (work) => {
    done += work
    if (done < workPerTurn) return
    done = 0
    await setImmediate()
  }
}
