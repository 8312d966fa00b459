// What runs in the thread of `sqlite-checkpoints.ts`: a checkpoint after commits, with a pause between, until it is told to stop.
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { COMMITS, STOP } from './sqlite-checkpoints.ts'

/** Pages that many commits change are moved once. */
const PAUSE_MS = 100

const { file, cells } = workerData as { readonly file: string; readonly cells: Int32Array<SharedArrayBuffer> }
using database = new DatabaseSync(file, { timeout: 10_000 })
database.exec('pragma synchronous = full')

for (let seen = 0; Atomics.load(cells, STOP) === 0; ) {
  Atomics.wait(cells, COMMITS, seen)
  seen = Atomics.load(cells, COMMITS)
  // Passive: whoever reads or writes is not waited for and does not wait; what is left is moved the next time.
  database.exec('pragma wal_checkpoint(passive)')
  Atomics.wait(cells, STOP, 0, PAUSE_MS)
}
