import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase } from '../database.ts'
import { BUCKET_SIZE, type BucketSize } from './bucket-size.ts'
import type { Bucket, BucketId } from './buckets.ts'
import { buildSlice } from './building.ts'
import { foldBatch } from './folding.ts'
import { mergeBuckets, smallAmong } from './merging.ts'
import { splitBuckets } from './splitting.ts'

export interface UpkeepOptions {
  readonly size: BucketSize
  /** Changes of one transaction. On SQLite the thread of all requests waits for it: some µs for each bucket that they touch. */
  readonly changesAtOnce: number
  /** Rows read for one transaction of a first build. */
  readonly rowsAtOnce: number
  /** Hears of sums that were not those of their rows. They are put right. */
  readonly onWrong: (bucket: Bucket) => void
}

/** Keeps the sums up with the change log, one small transaction after the other. */
export interface FingerprintUpkeep {
  /**
   * One step of what is due: folding first, then splits, merges, builds.
   * @returns 'idle': what was numbered before the call is folded, and nothing else is due · 'more': call again · 'lost': another
   * process does the same work.
   */
  step(): Promise<'idle' | 'more' | 'lost'>
}

type Outcome = 'idle' | 'more' | 'lost'
/** While no change comes, what only the fold brings about is looked for in each so many steps. */
const STEPS_BETWEEN_LOOKS = 25
const MARKED_AT_ONCE = 8

export function createFingerprintUpkeep(
  db: MetadataDatabase,
  { size = BUCKET_SIZE, changesAtOnce = 2_000, rowsAtOnce = 8_000, onWrong = () => {} }: Partial<UpkeepOptions> = {},
): FingerprintUpkeep {
  /** Buckets that lost rows and are small, by repository. Forgotten with the process, which costs nothing but some rows of a table. */
  const shrunk = new Map<number, Set<string>>()
  /** Buckets with a landmark at which none begins yet; forgotten with the process as well. */
  let marked: BucketId[] = []
  /** Of the last step that found nothing to do; of a database that only this process writes. */
  let idleAt: number | undefined
  let stepsUntilLook = 0

  async function fold(): Promise<Outcome> {
    const folded = await foldBatch(db, changesAtOnce, size)
    if (folded === undefined) return 'lost'
    if (folded.changes > 0) stepsUntilLook = 0
    marked.push(...folded.marked)
    const losers = folded.deltas.filter(({ sum }) => sum.rows < 0)
    for (const { repoId, lo } of await smallAmong(db.slow, losers, size.least)) {
      shrunk.set(repoId, (shrunk.get(repoId) ?? new Set()).add(lo))
    }
    return folded.changes === changesAtOnce ? 'more' : 'idle'
  }
  async function split(): Promise<Outcome> {
    const done = await splitBuckets(db, size, marked.slice(0, MARKED_AT_ONCE))
    if (done === undefined) return 'lost'
    marked = marked.slice(MARKED_AT_ONCE)
    for (const bucket of done.wrong) onWrong(bucket)
    return done.made > 0 || marked.length > 0 ? 'more' : 'idle'
  }
  async function merge(): Promise<Outcome> {
    const [first] = shrunk
    if (first === undefined) return 'idle'
    const [repoId, small] = first
    const lowest = [...small].sort(comparePaths)[0]!
    const done = await mergeBuckets(db, { repoId, lo: lowest }, size)
    if (done === undefined) return 'lost'
    for (const lo of small) if (done.lookedTo === null || comparePaths(lo, done.lookedTo) < 0) small.delete(lo)
    if (small.size === 0) shrunk.delete(repoId)
    return 'more'
  }
  async function build(): Promise<Outcome> {
    const done = await buildSlice(db, rowsAtOnce, size)
    if (done === undefined) return 'lost'
    return done === 'more' ? 'more' : 'idle'
  }

  return {
    async step() {
      const commits = db.commits()
      if (commits !== undefined && commits === idleAt) return 'idle'
      const folded = await fold()
      if (folded !== 'idle') return folded
      if (stepsUntilLook-- > 0 && commits === undefined) return 'idle'
      stepsUntilLook = 0
      for (const work of [split, merge, build]) {
        const outcome = await work()
        if (outcome !== 'idle') return outcome
      }
      stepsUntilLook = STEPS_BETWEEN_LOOKS
      idleAt = commits
      return 'idle'
    },
  }
}
