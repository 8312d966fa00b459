import type { Clock } from '../../core/clock.ts'

/** Keys that count for a while, in this process only; the oldest go first when there are too many. */
export interface RecentKeys {
  add(key: string): void
  has(key: string): boolean
  delete(key: string): void
}

export function createRecentKeys(clock: Pick<Clock, 'now'>, keptMs: number, limit: number): RecentKeys {
  /** In order of time. */
  const until = new Map<string, number>()
  return {
    add(key) {
      until.delete(key)
      until.set(key, clock.now() + keptMs)
      if (until.size <= limit) return
      const [oldest] = until.keys()
      if (oldest !== undefined) until.delete(oldest)
    },
    has(key) {
      const end = until.get(key)
      if (end === undefined) return false
      if (clock.now() < end) return true
      until.delete(key)
      return false
    },
    delete: (key) => {
      until.delete(key)
    },
  }
}
