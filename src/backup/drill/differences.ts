/** What is not as the backup says, in the order in which it was found. */
export interface Differences {
  /** @param path as people know it. */
  note(path: string, reason: string): void
  /** All of them. */
  readonly count: number
  /** At most `MOST_SHOWN`. */
  readonly shown: readonly { readonly path: string; readonly reason: string }[]
}

const MOST_SHOWN = 1_000

export function createDifferences(): Differences {
  const shown: { path: string; reason: string }[] = []
  let count = 0
  return {
    note(path, reason) {
      count++
      if (shown.length < MOST_SHOWN) shown.push({ path, reason })
    },
    get count() {
      return count
    },
    shown,
  }
}
