import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../../core/start-thread.ts'

/** Cells of the memory that both threads share. */
export const COMMITS = 0
export const STOP = 1

/** A database that few write to needs no thread. */
const FIRST_COMMITS = 200

/**
 * Moves what was committed from the write-ahead log to the database file, in a thread of its own. SQLite would do it inside every
 * so-many-th commit, with the syncs that belong to it, and everybody else would wait for that.
 */
export interface Checkpoints {
  /** Costs nothing: the thread looks by itself. */
  committed(): void
  close(): Promise<void>
}

export function createCheckpoints(file: string): Checkpoints {
  const cells = new Int32Array(new SharedArrayBuffer(8))
  let worker: Worker | undefined

  function start(): Worker {
    const started = startThread(new URL('./sqlite-checkpoints-entry.ts', import.meta.url), {
      workerData: { file, cells },
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
    })
    // Without it SQLite checkpoints by itself, later and in this thread.
    started.on('error', () => {})
    started.unref()
    return started
  }
  return {
    committed() {
      const commits = Atomics.add(cells, COMMITS, 1) + 1
      if (commits === FIRST_COMMITS) worker = start()
      Atomics.notify(cells, COMMITS)
    },
    async close() {
      if (worker === undefined) return
      // Else a process that waits for nothing but this would end before it.
      worker.ref()
      const ended = once(worker, 'exit')
      Atomics.store(cells, STOP, 1)
      Atomics.add(cells, COMMITS, 1)
      Atomics.notify(cells, COMMITS)
      Atomics.notify(cells, STOP)
      if (worker.threadId !== -1) await ended
      worker = undefined
    },
  }
}
