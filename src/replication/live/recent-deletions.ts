import type { Clock } from '../../core/clock.ts'

/** Deletions that a link let through a short while ago: many small ones in a row are a large one. */
export interface RecentDeletions {
  add(count: number): void
  count(): number
}

export function createRecentDeletions(clock: Pick<Clock, 'now'>, horizonMs: number): RecentDeletions {
  let noted: { readonly at: number; readonly count: number }[] = []
  return {
    add(count) {
      if (count > 0) noted.push({ at: clock.now(), count })
    },
    count() {
      const since = clock.now() - horizonMs
      noted = noted.filter(({ at }) => at > since)
      return noted.reduce((sum, { count }) => sum + count, 0)
    },
  }
}
