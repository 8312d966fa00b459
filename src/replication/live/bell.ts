/** Wakes one waiter; without a clock of its own, since it may be rung hundreds of times a second. */
export interface Bell {
  /** Ends the wait; one that comes while nobody waits ends the next wait at once. */
  ring(): void
  wait(): Promise<void>
}

export function createBell(): Bell {
  let isRung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      isRung = true
      wake?.()
    },
    async wait() {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      wake = undefined
      isRung = false
    },
  }
}
