/** Work of one stream, one batch after the other: the next one is made ready while one is under way, and no third is begun. */
export interface CommitLane<T> extends AsyncDisposable {
  /** Waits for the one before and begins this one. @throws what became of the one before. */
  put(batch: T): Promise<void>
  /** Resolves when nothing is under way, throws when it failed; undefined: nothing is. */
  readonly current: Promise<void> | undefined
  /** Waits for what is under way, however it ends. */
  [Symbol.asyncDispose](): Promise<void>
}

export function createCommitLane<T>(work: (batch: T) => Promise<void>): CommitLane<T> {
  let current: Promise<void> | undefined
  return {
    async put(batch) {
      await current
      const started = work(batch).then(() => {
        if (current === started) current = undefined
      })
      // Whoever asks next hears of it; until then nobody does, and that must not end the process.
      started.catch(() => undefined)
      current = started
    },
    get current() {
      return current
    },
    async [Symbol.asyncDispose]() {
      await current?.catch(() => undefined)
    },
  }
}
