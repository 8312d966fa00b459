/**
 * Places for the work on links towards one target, so that none can take them all. Whoever is turned away waits without a place, and is
 * called when one is free. Memory only.
 */
export interface LinkSlots {
  /** Undefined: all places towards the target are taken. */
  enter(link: WaitingLink): Disposable | undefined
  /** Links that were turned away and not called yet. */
  waitingFor(clusterId: string): number
}
export interface WaitingLink {
  readonly clusterId: string
  readonly taskKey: string
  readonly recordId: string
  readonly linkId: number
}

interface LinkSlotsOptions {
  /** Of a target; fewer while nothing is known of it. */
  most(clusterId: string): number
  /** A place is free for this one. */
  call(link: WaitingLink): void
}

interface Target {
  readonly working: Map<string, number>
  taken: number
  readonly waiting: Map<string, WaitingLink>
}

export function createLinkSlots({ most, call }: LinkSlotsOptions): LinkSlots {
  const targets = new Map<string, Target>()

  /** Of those that wait, one of the task that has fewest links at work; among those the one that waits longest. */
  function callNext(clusterId: string, target: Target): void {
    let free = most(clusterId) - target.taken
    for (; free > 0 && target.waiting.size > 0; free--) {
      let chosen: WaitingLink | undefined
      let least = Number.POSITIVE_INFINITY
      for (const link of target.waiting.values()) {
        const working = target.working.get(link.taskKey) ?? 0
        if (working >= least) continue
        least = working
        chosen = link
      }
      target.waiting.delete(nameOf(chosen!))
      call(chosen!)
    }
  }
  function count(target: Target, taskKey: string, change: 1 | -1): void {
    const working = (target.working.get(taskKey) ?? 0) + change
    if (working === 0) target.working.delete(taskKey)
    else target.working.set(taskKey, working)
    target.taken += change
  }

  return {
    enter(link) {
      const { clusterId, taskKey } = link
      const target = targets.get(clusterId) ?? { working: new Map(), taken: 0, waiting: new Map() }
      targets.set(clusterId, target)
      if (target.taken >= most(clusterId)) {
        target.waiting.set(nameOf(link), link)
        return undefined
      }
      target.waiting.delete(nameOf(link))
      count(target, taskKey, 1)
      return {
        [Symbol.dispose]() {
          count(target, taskKey, -1)
          if (target.taken === 0 && target.waiting.size === 0) targets.delete(clusterId)
          else callNext(clusterId, target)
        },
      }
    },
    waitingFor: (clusterId) => targets.get(clusterId)?.waiting.size ?? 0,
  }
}
const nameOf = ({ recordId, linkId }: WaitingLink): string => `${recordId}/${linkId}`
