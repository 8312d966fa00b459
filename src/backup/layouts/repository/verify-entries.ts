import { mapConcurrent } from '../../../core/concurrency.ts'
import { hasCode, messageOf } from '../../../core/errors.ts'
import type { Findings } from '../findings.ts'
import { dataName, type OpenData, readInto } from './data-object.ts'
import type { Entry } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import { FRAME_BYTES } from './frame.ts'
import { type FrameThreads, SLOT_BYTES, SLOTS } from './frame-threads.ts'
import { checkLarge } from './large-entry.ts'

const MEMORY_BYTES = SLOTS * SLOT_BYTES
/** For each thread, so that it has work while others read. */
const LANES = 3

export interface VerifyGround {
  readonly reader: EntryReader
  readonly threads: FrameThreads
  /** Whether the bytes must hash to their digests, too: encrypted, they open as nothing else. */
  readonly hashing: 'sha256' | 'none'
  readonly findings: Findings
  readonly onBytes: (count: number) => void
}

/** Reads entries, several objects at a time; each that is not what was written is a finding. */
export async function verifyEntries(
  ground: VerifyGround,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<void> {
  const byObject = Map.groupBy(entries, ({ object }) => object)
  const verifyOne = ([id, its]: readonly [string, Entry[]], both: AbortSignal) =>
    verifyObject(
      ground,
      id,
      [...its].sort((a, b) => a.offset - b.offset),
      both,
    )
  await mapConcurrent([...byObject], ground.threads.count * LANES, verifyOne, signal)
}

async function verifyObject(
  ground: VerifyGround,
  id: string,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<void> {
  const { reader, findings } = ground
  const object = dataName(id)
  try {
    await reader.withData(id, signal, async (data) => {
      let few: Entry[] = []
      for (const entry of entries) {
        if (isSmall(entry) && fits(few, entry)) {
          few.push(entry)
          continue
        }
        await verifyFew(ground, data, few, signal)
        few = isSmall(entry) ? [entry] : []
        if (!isSmall(entry)) await verifyLarge(ground, data, entry, signal)
      }
      await verifyFew(ground, data, few, signal)
    })
  } catch (error) {
    if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
    findings.wrong({ object, reason: messageOf(error) })
  }
}

const isSmall = ({ plainBytes, storedBytes }: Entry): boolean => plainBytes <= FRAME_BYTES && storedBytes <= SLOT_BYTES
const fits = (few: readonly Entry[], { offset, storedBytes }: Entry): boolean =>
  few.length === 0 || offset + storedBytes - few[0]!.offset <= MEMORY_BYTES

/** Entries that lie near each other, of one frame each, read at once. */
async function verifyFew(
  { threads, hashing, findings, onBytes }: VerifyGround,
  { id, seal, reader }: OpenData,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<void> {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) return
  using checker = threads.checker()
  const length = last.offset + last.storedBytes - first.offset
  await readInto(reader, checker.memory.subarray(0, length), first.offset, signal)
  const asked = entries.map(({ key, offset, storedBytes, plainBytes }) => ({
    key,
    offset,
    storedBytes,
    plainBytes,
    hashing: isOfContent(key) ? hashing : ('none' as const),
  }))
  for (const number of await checker.check({ seal, start: first.offset, entries: asked })) {
    findings.wrong({ object: dataName(id), reason: `${told(entries[number]!)} is not what was written` })
  }
  onBytes(length)
}

async function verifyLarge(
  { threads, hashing, findings, onBytes }: VerifyGround,
  data: OpenData,
  entry: Entry,
  signal: AbortSignal,
): Promise<void> {
  try {
    await checkLarge(threads, data, entry.key, entry, isOfContent(entry.key) ? hashing : 'none', signal)
    onBytes(entry.storedBytes)
  } catch (error) {
    if (!hasCode(error, 'ARTIFACT_BROKEN')) throw error
    findings.wrong({ object: dataName(data.id), reason: `${told(entry)} is not what was written: ${messageOf(error)}` })
  }
}

/** The digest of `needs` is not of its own bytes. */
const isOfContent = (key: Buffer): boolean => key[32] !== 3
const told = ({ key, offset }: Entry): string => `${key.toString('hex', 0, 32)} at ${offset}`
