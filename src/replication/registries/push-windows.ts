/** Steps of the change log whose versions are on their way, in order, and the versions themselves. Memory only. */
export interface PushWindows {
  /** @param upTo the step ends with this number; undefined: it is none. @param others paths of it that have nothing to bring. */
  open(upTo: number | undefined, others: readonly string[], versions: number): PushWindow
  begun(path: string, push: Promise<void>): void
  /** A step with nothing in it. */
  pass(upTo: number): void
  /** Those of which nothing is on its way. */
  idle(paths: readonly string[]): string[]
  /** When none of the paths is on its way any more. */
  ended(paths: readonly string[]): Promise<void>
  allEnded(): Promise<void>
  /** Something can be taken. */
  readonly hasEnded: boolean
  /** Steps that have not been taken. */
  readonly count: number
  /** Steps that ended without an open one before them: up to where, and what had nothing to bring. */
  take(): { readonly others: readonly string[]; readonly upTo: number }
}
export interface PushWindow {
  endedOne(): void
}

interface Step {
  readonly upTo: number | undefined
  readonly others: readonly string[]
  left: number
}

export function createPushWindows(ackedSeq: number): PushWindows {
  const steps: Step[] = []
  const onTheWay = new Map<string, Promise<void>>()
  let done = ackedSeq
  return {
    open(upTo, others, versions) {
      const step: Step = { upTo, others, left: versions }
      steps.push(step)
      return {
        endedOne() {
          step.left--
        },
      }
    },
    begun(path, push) {
      const kept = push.then(() => {
        if (onTheWay.get(path) === kept) onTheWay.delete(path)
      })
      onTheWay.set(path, kept)
    },
    pass(upTo) {
      if (steps.length === 0) done = upTo
      else steps.push({ upTo, others: [], left: 0 })
    },
    idle: (paths) => paths.filter((path) => !onTheWay.has(path)),
    async ended(paths) {
      await Promise.all(paths.map((path) => onTheWay.get(path)))
    },
    async allEnded() {
      await Promise.all(onTheWay.values())
    },
    get hasEnded() {
      return steps[0]?.left === 0
    },
    get count() {
      return steps.length
    },
    take() {
      const others: string[] = []
      while (steps[0]?.left === 0) {
        const step = steps.shift()!
        others.push(...step.others)
        done = step.upTo ?? done
      }
      return { others, upTo: done }
    },
  }
}
