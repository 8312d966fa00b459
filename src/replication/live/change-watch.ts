import type { Clock } from '../../core/clock.ts'
import { changedRepositories, headSeq, lastChange } from '../../metadata/changes/change-numbers.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createBell } from './bell.ts'

/** Knows where the change log of each repository ends, so that hundreds of links need not ask each for itself. */
export interface ChangeWatch {
  /** A transaction of this process has committed. */
  ring(): void
  /** Number of the last change of the repository, as far as is known. */
  headOf(repoId: number): number
  /** Calls `changed` from here on with every change of the repository, and now and then without one. @returns ends that. */
  subscribe(repoId: number, changed: () => void): Promise<Disposable>
  /** Watches until the signal. */
  run(signal: AbortSignal): Promise<void>
}

/** Other processes' commits are noticed within this time, on PostgreSQL only: SQLite has no others. */
const POLL_MS = 50
/** Whoever waits for something else than changes has a look this often. */
const TICK_MS = 500
const AFTER_ERROR_MS = 1_000

export function createChangeWatch(db: MetadataDatabase, clock: Clock, onError: (error: unknown) => void): ChangeWatch {
  const heads = new Map<number, number>()
  const listeners = new Map<number, Set<() => void>>()
  const bell = createBell()
  const note = (repoId: number, head: number) => heads.set(repoId, Math.max(head, heads.get(repoId) ?? 0))

  /** @returns the number up to which everything was seen. */
  async function look(after: number): Promise<number> {
    await numberChanges(db)
    let last = after
    for (const [repoId, head] of await changedRepositories(db.read, after)) {
      last = Math.max(last, head)
      const interested = listeners.get(repoId)
      if (interested === undefined) continue
      note(repoId, head)
      for (const changed of interested) changed()
    }
    return last
  }

  async function watch(signal: AbortSignal): Promise<void> {
    let last = await lastChange(db.read)
    while (!signal.aborted) {
      try {
        if (listeners.size > 0) last = await look(last)
      } catch (error) {
        onError(error)
        await clock.sleep(AFTER_ERROR_MS, signal).catch(() => undefined)
      }
      if (!signal.aborted) await bell.wait()
    }
  }
  async function tick(signal: AbortSignal): Promise<void> {
    for (let told = clock.now(); !signal.aborted; ) {
      const pauseMs = db.dialect === 'postgres' && listeners.size > 0 ? POLL_MS : TICK_MS
      await clock.sleep(pauseMs, signal).catch(() => undefined)
      bell.ring()
      if (clock.now() - told < TICK_MS) continue
      told = clock.now()
      for (const interested of listeners.values()) for (const look of interested) look()
    }
  }

  return {
    ring() {
      if (listeners.size > 0) bell.ring()
    },
    headOf: (repoId) => heads.get(repoId) ?? 0,
    async subscribe(repoId, changed) {
      const interested = listeners.get(repoId) ?? new Set()
      listeners.set(repoId, interested.add(changed))
      await numberChanges(db)
      note(repoId, await headSeq(db.read, repoId))
      return {
        [Symbol.dispose]() {
          interested.delete(changed)
          if (interested.size > 0) return
          listeners.delete(repoId)
          heads.delete(repoId)
        },
      }
    },
    async run(signal) {
      await Promise.all([watch(signal), tick(signal)])
    },
  }
}
