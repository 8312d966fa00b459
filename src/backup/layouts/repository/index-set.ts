import { AppError, hasCode } from '../../../core/errors.ts'
import type { Ids, Random } from '../../../core/ids.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import type { Entry, EntryPlace } from './entry.ts'
import { decodeIndex, encodeIndex, type IndexedObject, type IndexTable } from './index-table.ts'
import { isObjectId, openObject, readWhole, sealObject } from './sealed-object.ts'

/** Of more index objects the smallest are made one, so that few rows are written often. */
const MOST_TABLES = 12

/** Index tables by their id; they never change, so that a process reads each once. */
export type TableCache = Map<string, IndexTable>

/** What lies where, as the index objects of a repository tell it, taken together. */
export interface IndexSet {
  readonly tables: ReadonlyMap<string, IndexTable>
  find(key: Buffer): EntryPlace | undefined
  hasObject(id: string): boolean
  /** Reads what came since. */
  refresh(signal: AbortSignal): Promise<void>
  /** A new index object, durable when it resolves; what it says is found from then on. */
  add(objects: readonly IndexedObject[], entries: readonly Entry[], signal: AbortSignal): Promise<void>
  /** One in place of all; only what is given is left. */
  replace(objects: readonly IndexedObject[], entries: readonly Entry[], signal: AbortSignal): Promise<void>
  /** Makes one of the smallest, when they are many. */
  consolidate(signal: AbortSignal): Promise<void>
}

export interface IndexSetDeps {
  readonly location: BackupLocation
  readonly master: Buffer | undefined
  readonly ids: Ids
  readonly random: Random
  readonly cache: TableCache
}

/** @throws AppError ARTIFACT_BROKEN with the index object's name. */
export async function openIndexSet(deps: IndexSetDeps, signal: AbortSignal): Promise<IndexSet> {
  const { location, master, ids, random, cache } = deps
  let tables = new Map<string, IndexTable>()
  let objects: Set<string> | undefined

  async function refresh(signal: AbortSignal): Promise<void> {
    const found = new Map<string, IndexTable>()
    // A table that was made one with others since it was listed: the listing is done again.
    for (let attempt = 0; ; attempt++) {
      try {
        found.clear()
        for await (const { name } of location.list('index', signal)) {
          const id = name.slice('index/'.length)
          if (isObjectId(id)) found.set(id, cache.get(id) ?? (await load(id, signal)))
        }
        break
      } catch (error) {
        if (!hasCode(error, 'BLOB_UNKNOWN') || attempt === 3) throw error
      }
    }
    tables = found
    objects = undefined
    cache.clear()
    for (const [id, table] of found) cache.set(id, table)
  }
  async function load(id: string, signal: AbortSignal): Promise<IndexTable> {
    const bytes = await readWhole(location, `index/${id}`, signal)
    try {
      return decodeIndex(openObject({ kind: 'index', id: Buffer.from(id, 'hex'), master }, bytes))
    } catch (error) {
      if (!hasCode(error, 'ARTIFACT_BROKEN')) throw error
      throw new AppError(
        'ARTIFACT_BROKEN',
        `index/${id} of the backup repository in ${location.path} is damaged: delete it and prune, which makes it anew from the data`,
        {},
        { cause: error },
      )
    }
  }
  async function add(
    indexed: readonly IndexedObject[],
    entries: readonly Entry[],
    signal: AbortSignal,
  ): Promise<string> {
    const id = ids.key()
    const payload = encodeIndex(indexed, entries)
    const sealed = sealObject({ kind: 'index', id: Buffer.from(id, 'hex'), master }, payload, random.bytes(32))
    await location.put(`index/${id}`, sealed, signal)
    const table = decodeIndex(payload)
    tables = new Map(tables).set(id, table)
    objects = undefined
    cache.set(id, table)
    return id
  }
  async function replace(
    before: readonly string[],
    indexed: readonly IndexedObject[],
    entries: readonly Entry[],
    signal: AbortSignal,
  ): Promise<void> {
    await add(indexed, entries, signal)
    for (const old of before) {
      await location.delete(`index/${old}`, signal)
      tables.delete(old)
      cache.delete(old)
    }
    objects = undefined
  }
  await refresh(signal)
  return {
    get tables() {
      return tables
    },
    find(key) {
      for (const table of tables.values()) {
        const place = table.find(key)
        if (place !== undefined) return place
      }
      return undefined
    },
    hasObject(id) {
      objects ??= new Set([...tables.values()].flatMap((table) => table.objects.map((object) => object.id)))
      return objects.has(id)
    },
    refresh,
    async add(indexed, entries, signal) {
      await add(indexed, entries, signal)
    },
    replace: (indexed, entries, signal) => replace([...tables.keys()], indexed, entries, signal),
    async consolidate(signal) {
      if (tables.size <= MOST_TABLES) return
      const smallestFirst = [...tables].sort(([, one], [, other]) => one.rows - other.rows)
      const few = smallestFirst.slice(0, tables.size - MOST_TABLES / 2)
      const { indexed, entries } = everythingIn(few.map(([, table]) => table))
      const ids = few.map(([id]) => id)
      await replace(ids, indexed, entries, signal)
    },
  }
}

/** All rows; a place that several tables tell is told once. */
export function everythingIn(tables: Iterable<IndexTable>): {
  readonly indexed: IndexedObject[]
  readonly entries: Entry[]
} {
  const indexed = new Map<string, IndexedObject>()
  const entries: Entry[] = []
  for (const table of tables) {
    const known = new Set(table.objects.filter(({ id }) => indexed.has(id)).map(({ id }) => id))
    for (const object of table.objects) if (!known.has(object.id)) indexed.set(object.id, object)
    for (let row = 0; row < table.rows; row++) {
      const entry = table.entryAt(row)
      if (!known.has(entry.object)) entries.push(entry)
    }
  }
  return { indexed: [...indexed.values()], entries }
}
