import { hasCode } from '../../../core/errors.ts'
import type { BackupLocation, ObjectReader } from '../../../storage/backup-location.ts'
import { type OpenData, openData, readExactly } from './data-object.ts'
import type { Entry } from './entry.ts'
import { openEntry } from './whole-entry.ts'

/** Entries this near are read with those between. */
const GAP_BYTES = 32 * 1024
const READ_BYTES = 4 * 1024 * 1024
const MOST_OPEN = 8

/** Reads entries of data objects; those that were used last stay open. */
export interface EntryReader extends AsyncDisposable {
  /** @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN. */
  read(entry: Entry, signal: AbortSignal): Promise<Buffer>
  /** In few reads, in no promised order; what is missing or damaged comes as undefined. */
  readMany(entries: readonly Entry[], signal: AbortSignal): AsyncIterable<readonly [Entry, Buffer | undefined]>
  /** Runs `work` on an open object. @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN. */
  withData<T>(id: string, signal: AbortSignal, work: (data: OpenData) => Promise<T>): Promise<T>
  /** The same for as long as the caller keeps it. */
  borrow(id: string, signal: AbortSignal): Promise<OpenData>
}

interface Opened {
  readonly data: Promise<OpenData>
  users: number
}

export function createEntryReader(location: BackupLocation, master: Buffer | undefined): EntryReader {
  /** In order of their last use. */
  const opened = new Map<string, Opened>()

  async function borrow(id: string, signal: AbortSignal): Promise<OpenData> {
    const entry = opened.get(id) ?? { data: openData(location, master, id, signal), users: 0 }
    entry.users++
    opened.delete(id)
    opened.set(id, entry)
    try {
      const data = await entry.data
      return { ...data, [Symbol.asyncDispose]: () => giveBack(entry) }
    } catch (error) {
      if (opened.get(id) === entry) opened.delete(id)
      throw error
    }
  }
  async function giveBack(entry: Opened): Promise<void> {
    entry.users--
    for (const [id, old] of opened) {
      if (opened.size <= MOST_OPEN) break
      if (old.users > 0) continue
      opened.delete(id)
      await closeOf(old)
    }
  }
  async function withData<T>(id: string, signal: AbortSignal, work: (data: OpenData) => Promise<T>): Promise<T> {
    await using data = await borrow(id, signal)
    return await work(data)
  }
  async function* readRun(
    run: readonly Entry[],
    signal: AbortSignal,
  ): AsyncGenerator<readonly [Entry, Buffer | undefined]> {
    const start = run[0]!.offset
    const last = run.at(-1)!
    const length = last.offset + last.storedBytes - start
    const read = withData(run[0]!.object, signal, async (data) => ({
      seal: data.seal,
      bytes: await readWithin(data.reader, start, length, signal),
    }))
    const got = await orUndefined(read)
    for (const entry of run) {
      const from = entry.offset - start
      const whole = got?.bytes.subarray(from, from + entry.storedBytes)
      if (got === undefined || whole === undefined || whole.length < entry.storedBytes) yield [entry, undefined]
      else yield [entry, await orUndefined(opening(() => openEntry(got.seal, entry.key, entry, whole)))]
    }
  }
  return {
    borrow,
    withData,
    read: (entry, signal) =>
      withData(entry.object, signal, async ({ seal, reader }) =>
        openEntry(seal, entry.key, entry, await readExactly(reader, entry.offset, entry.storedBytes, signal)),
      ),
    async *readMany(entries, signal) {
      for (const run of runsOf(entries)) yield* readRun(run, signal)
    },
    async [Symbol.asyncDispose]() {
      const all = [...opened.values()]
      opened.clear()
      for (const entry of all) await closeOf(entry)
    },
  }
}

async function closeOf({ data }: Opened): Promise<void> {
  const open = await data.catch(() => undefined)
  await open?.[Symbol.asyncDispose]()
}
const opening = async (work: () => Buffer): Promise<Buffer> => work()

/** Neighbours in one object, to be read at once. */
function runsOf(entries: readonly Entry[]): Entry[][] {
  const sorted = [...entries].sort((a, b) =>
    a.object === b.object ? a.offset - b.offset : a.object < b.object ? -1 : 1,
  )
  const runs: Entry[][] = []
  let run: Entry[] = []
  for (const entry of sorted) {
    const [first, last] = [run[0], run.at(-1)]
    const isNear =
      first?.object === entry.object &&
      entry.offset - (last!.offset + last!.storedBytes) <= GAP_BYTES &&
      entry.offset + entry.storedBytes - first.offset <= READ_BYTES
    if (isNear) run.push(entry)
    else {
      run = [entry]
      runs.push(run)
    }
  }
  return runs
}

/** As much as there is. */
async function readWithin(
  reader: ObjectReader,
  position: number,
  length: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, reader.sizeBytes - position)))
  return bytes.subarray(0, await reader.read(bytes, position, signal))
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN', 'ARTIFACT_BROKEN')) return undefined
    throw error
  }
}
