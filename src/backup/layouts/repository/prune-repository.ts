import type { Clock } from '../../../core/clock.ts'
import { AppError, hasCode, messageOf } from '../../../core/errors.ts'
import type { Ids, Random } from '../../../core/ids.ts'
import { dataName } from './data-object.ts'
import { findUnindexed, indexUnindexed, listData, removeDrafts } from './data-objects.ts'
import { type Entry, isContent } from './entry.ts'
import { createEntryReader, type EntryReader } from './entry-reader.ts'
import { everythingIn } from './index-set.ts'
import type { IndexedObject } from './index-table.ts'
import type { Lease } from './lease.ts'
import { liveEntries, neededKeys } from './live-entries.ts'
import { type Marks, readMarks, writeMarks } from './marks.ts'
import { createPackWriter, PACK_BYTES } from './pack-writer.ts'
import type { Repository } from './repository.ts'

/** Between marking an object and removing it; whoever lost his lease meanwhile has long noticed. */
export const MARK_GRACE_MS = 24 * 3_600_000
/** A pack with less than this share in use is written anew. */
const WORTH_KEEPING = 0.5
/** Packs of runs that had little to write. */
const SMALL_PACK_BYTES = PACK_BYTES / 4
const MANY_SMALL_PACKS = 16
/** Own objects are not put into packs. */
const OWN_OBJECT_BYTES = 256 * 1024
const CHECK_EVERY = 64

export interface PruneReport {
  readonly mode: PruneMode
  readonly snapshots: number
  readonly objects: number
  readonly bytes: number
  /** Objects that no snapshot needs and that are kept until the time of grace is over; those that were marked in this run. */
  readonly unneeded: number
  readonly marked: number
  /** Objects that were marked before and that a snapshot needs now. */
  readonly unmarked: number
  readonly rewritten: number
  readonly removed: number
  readonly removedBytes: number
  /** Objects that an index knew and that are gone: their contents are stored again by the next backup that has them. */
  readonly lost: readonly string[]
  /** Packs that could not be read, and were left. */
  readonly damaged: readonly string[]
}
export type PruneMode = 'dry run' | 'for real'

export interface PruneDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  readonly graceMs: number
}

interface Plan {
  readonly objects: readonly IndexedObject[]
  readonly entries: readonly Entry[]
  readonly lost: ReadonlySet<string>
  /** Whether the index has to be written. */
  readonly isIndexOld: boolean
  readonly marks: Marks
  readonly snapshots: number
  readonly bytes: number
  readonly unneeded: ReadonlySet<string>
  readonly removable: ReadonlySet<string>
  /** To be written anew: what is in use of each. */
  readonly sparse: ReadonlyMap<string, readonly Entry[]>
}

/** @param lease exclusive. @throws AppError ARTIFACT_BROKEN when a snapshot cannot be read: nothing is removed then. */
export async function pruneRepository(
  repository: Repository,
  lease: Lease,
  mode: PruneMode,
  deps: PruneDeps,
  signal: AbortSignal,
): Promise<PruneReport> {
  await using reader = createEntryReader(repository.location, repository.master)
  await repository.index.refresh(signal)
  const isReal = mode === 'for real'
  // First: without an index, nobody finds what snapshots need.
  if (isReal) await indexUnindexed(repository, signal)
  const plan = await planOf(repository, reader, deps, signal)
  const anew = isReal ? await rewrite(repository, reader, plan, deps, signal) : NOTHING_ANEW
  const marks = marksAfter(plan, anew.emptied, deps.clock.now())
  if (isReal) await carryOut(repository, lease, plan, anew, marks, deps.random, signal)
  const sizes = new Map(plan.objects.map(({ id, sizeBytes }) => [id, sizeBytes]))
  return {
    mode,
    snapshots: plan.snapshots,
    objects: plan.objects.length,
    bytes: plan.bytes,
    unneeded: plan.unneeded.size - plan.removable.size,
    marked: [...marks.keys()].filter((id) => !plan.marks.has(id)).length,
    unmarked: [...plan.marks.keys()].filter((id) => sizes.has(id) && !plan.unneeded.has(id)).length,
    rewritten: isReal ? anew.emptied.length : plan.sparse.size,
    removed: plan.removable.size,
    removedBytes: [...plan.removable].reduce((sum, id) => sum + sizes.get(id)!, 0),
    lost: [...plan.lost].map(dataName),
    damaged: anew.damaged.map(dataName),
  }
}

async function planOf(
  repository: Repository,
  reader: EntryReader,
  { clock, graceMs }: PruneDeps,
  signal: AbortSignal,
): Promise<Plan> {
  const { location, master, index } = repository
  const sizes = await listData(location, signal)
  const unindexed = await findUnindexed(repository, sizes, signal)
  const indexed = everythingIn(index.tables.values())
  const lost = new Set(indexed.indexed.filter(({ id }) => !sizes.has(id)).map(({ id }) => id))
  const objects = [...indexed.indexed.filter(({ id }) => !lost.has(id)), ...unindexed.map(({ object }) => object)]
  const entries = [
    ...indexed.entries.filter(({ object }) => !lost.has(object)),
    ...unindexed.flatMap((found) => found.entries ?? []),
  ]
  const marks = await readMarks(location, master, signal)
  const names = await repository.snapshots(signal)
  const needed = await tellingWhy(repository, () => neededKeys(repository, reader, names, signal))
  const live = liveEntries(entries, needed, marks)
  const unneeded = new Set(objects.filter(({ id }) => !live.has(id)).map(({ id }) => id))
  const isOver = (id: string) => (marks.get(id) ?? Number.POSITIVE_INFINITY) <= clock.now() - graceMs
  return {
    objects,
    entries,
    lost,
    isIndexOld: lost.size > 0 || unindexed.length > 0,
    marks,
    snapshots: names.length,
    bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    unneeded,
    removable: new Set([...unneeded].filter(isOver)),
    sparse: sparsePacks(objects, live),
  }
}

function sparsePacks(objects: readonly IndexedObject[], live: ReadonlyMap<string, readonly Entry[]>) {
  const packs = objects.filter(({ id }) => {
    const its = live.get(id)
    return its !== undefined && !its.some(({ key, plainBytes }) => isContent(key) && plainBytes >= OWN_OBJECT_BYTES)
  })
  const bytesIn = (its: readonly Entry[]) => its.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  const small = packs.filter(({ sizeBytes }) => sizeBytes < SMALL_PACK_BYTES)
  const isSparse = ({ id, sizeBytes }: IndexedObject) => bytesIn(live.get(id)!) < sizeBytes * WORTH_KEEPING
  // One small pack written anew would be as small as before.
  const sparse = packs.filter(isSparse).filter(({ sizeBytes }) => sizeBytes > OWN_OBJECT_BYTES)
  const chosen = new Set([...sparse, ...(small.length >= MANY_SMALL_PACKS ? small : [])])
  return new Map([...chosen].map(({ id }) => [id, live.get(id)!]))
}

interface Anew {
  readonly objects: readonly IndexedObject[]
  readonly entries: readonly Entry[]
  /** All that is in use of them lies elsewhere, too. */
  readonly emptied: readonly string[]
  readonly damaged: readonly string[]
}
const NOTHING_ANEW: Anew = { objects: [], entries: [], emptied: [], damaged: [] }

async function rewrite(
  { location, master }: Repository,
  reader: EntryReader,
  { sparse, entries }: Plan,
  { ids, random }: PruneDeps,
  signal: AbortSignal,
): Promise<Anew> {
  if (sparse.size === 0) return NOTHING_ANEW
  const [objects, written, emptied, damaged]: [IndexedObject[], Entry[], string[], string[]] = [[], [], [], []]
  const packs = createPackWriter({
    location,
    master,
    ids,
    random,
    compression: entries.some(({ storedBytes, plainBytes }) => storedBytes < plainBytes) ? 'zstd' : 'none',
    async onPacked(object, its) {
      objects.push(object)
      written.push(...its)
    },
  })
  try {
    for (const [id, its] of sparse) {
      let isWhole = true
      for await (const [entry, plain] of reader.readMany(its, signal)) {
        if (plain === undefined) isWhole = false
        else await packs.add(entry.key, plain, signal)
      }
      if (isWhole) emptied.push(id)
      else damaged.push(id)
    }
    await packs.flush(signal)
  } finally {
    await packs.idle()
  }
  return { objects, entries: written, emptied, damaged }
}

/** Who is not needed is marked; who is removed needs no mark. One of a clock that was ahead counts from here on. */
function marksAfter(
  { unneeded, removable, marks }: Plan,
  emptied: readonly string[],
  now: number,
): Map<string, number> {
  const waiting = [...unneeded, ...emptied].filter((id) => !removable.has(id))
  return new Map(waiting.map((id) => [id, Math.min(marks.get(id) ?? now, now)]))
}

/** In this order: index, data, marks. What a process that dies in between leaves, the next prune finds without an index, and marked. */
async function carryOut(
  { location, master, index }: Repository,
  lease: Lease,
  plan: Plan,
  anew: Anew,
  marks: Marks,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  const { removable } = plan
  await lease.check(signal)
  if (plan.isIndexOld || removable.size > 0 || anew.objects.length > 0) {
    const objects = plan.objects.filter(({ id }) => !removable.has(id))
    const entries = plan.entries.filter(({ object }) => !removable.has(object))
    // First what is new: of two places the first in the index is read.
    await index.replace([...anew.objects, ...objects], [...anew.entries, ...entries], signal)
  } else await index.consolidate(signal)
  let removed = 0
  for (const id of removable) {
    if (removed++ % CHECK_EVERY === 0) await lease.check(signal)
    await location.delete(dataName(id), signal)
  }
  const isSame = marks.size === plan.marks.size && [...marks].every(([id, at]) => plan.marks.get(id) === at)
  if (!isSame) await writeMarks(location, master, marks, random, signal)
  await removeDrafts(location, signal)
  await lease.removeStale(signal)
}

async function tellingWhy<T>({ location }: Repository, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
    throw new AppError(
      'ARTIFACT_BROKEN',
      `Nothing was removed from the backup repository in ${location.path}: a snapshot cannot be read, so that nobody knows what it needs (${messageOf(error)}); verify the repository and delete the snapshots that are beyond repair`,
      {},
      { cause: error },
    )
  }
}
