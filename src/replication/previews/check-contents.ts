import type { StoredCheck, StoredFault } from '../../artifacts/blobs/stored-check.ts'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { rangeFiles } from '../delivery/shard-files.ts'
import { filesOf } from '../delivery/work-item.ts'
import type { LinkView } from '../planning/link-plan.ts'
import { LinkStopped, linkFate } from '../runs/stop-reasons.ts'
import type { PreviewItem } from './preview.ts'

/** Contents of one side that were read in this preview: each once, whichever link needs it first. */
export interface CheckedSide {
  readonly check: StoredCheck['check']
  /** As reasons name it. */
  readonly name: string
  readonly faults: Map<Digest, StoredFault>
  /** Known to be as they should be; 52 bits of their digests. */
  readonly sound: Set<number>
}
export const checkedSide = (name: string, check: StoredCheck['check']): CheckedSide => ({
  ...{ name, check, faults: new Map(), sound: new Set() },
})

export interface ContentProgress {
  /** Of the link. */
  readonly files: number
  /** Read here and at the target. */
  readonly bytes: number
}

interface ContentCheck {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly sides: { readonly here: CheckedSide; readonly there: CheckedSide }
  /** Paths of artifacts that the target has otherwise, or not at all: what it has there is not asked about. */
  readonly unequal: ReadonlySet<string>
  take(items: readonly PreviewItem[]): Promise<void>
  note(progress: ContentProgress): Promise<void>
}

/** Of one call of a side; what a target is asked at once. */
const DIGESTS_AT_ONCE = 500
/** More would be the end of a `Set`; those that are forgotten are read again. */
const MAX_SOUND = 10_000_000
const PAUSE_MS = 1_000
/** A side that is busy, or does not answer, so often in a row is given up. */
const MAX_PAUSES = { busy: 600, down: 5 } as const
const EVERYTHING = { lo: '', hi: null, pos: null }

/** Reads the stored bytes of all selected files again, on both sides at once. @throws LinkStopped and what the sides throw. */
export async function checkContents(
  { db, clock, sides, unequal, take, note }: ContentCheck,
  { scope }: Pick<LinkView, 'scope'>,
  signal: AbortSignal,
): Promise<void> {
  const { here, there } = sides
  let files = 0
  let bytes = 0
  const onBytes = async (count: number) => {
    bytes += count
    await note({ files, bytes })
  }
  for await (const page of rangeFiles(db, scope, EVERYTHING, clock)) {
    const found = page.flatMap((item) =>
      filesOf(item).map((file) => ({ ...file, isOver: !unequal.has(item.path) && !unequal.has(file.path) })),
    )
    const ours = found.map(({ digest }) => digest)
    const theirs = found.flatMap(({ digest, isOver }) => (isOver ? [digest] : []))
    await Promise.all([settle(here, ours, onBytes, signal), settle(there, theirs, onBytes, signal)])
    const items = found.flatMap(({ path, sizeBytes, digest, isOver }) => [
      ...itemOf(here, { path, sizeBytes }, digest),
      ...(isOver ? itemOf(there, { path, sizeBytes }, digest) : []),
    ])
    await take(items)
    files += found.length
    await note({ files, bytes })
  }

  async function settle(
    side: CheckedSide,
    digests: readonly Digest[],
    onRead: (count: number) => Promise<void>,
    stop: AbortSignal,
  ): Promise<void> {
    if (side.sound.size > MAX_SOUND) side.sound.clear()
    let rest = [...new Set(digests)].filter((one) => !side.faults.has(one) && !side.sound.has(numberOf(one)))
    let pauses = 0
    while (rest.length > 0) {
      stop.throwIfAborted()
      const some = rest.slice(0, DIGESTS_AT_ONCE)
      const part = await attempt(side, some, stop)
      if (part === 'down' || (part.done === 0 && part.bytes === 0)) {
        const why = part === 'down' ? 'down' : 'busy'
        if (++pauses > MAX_PAUSES[why]) throw new LinkStopped(`${side.name} is ${why}: verify again later`)
        await clock.sleep(PAUSE_MS, stop)
        continue
      }
      pauses = 0
      for (const { at, fault } of part.wrong) side.faults.set(some[at]!, fault)
      for (const digest of some.slice(0, part.done)) if (!side.faults.has(digest)) side.sound.add(numberOf(digest))
      rest = rest.slice(part.done)
      await onRead(part.bytes)
    }
  }
}

async function attempt(side: CheckedSide, digests: readonly Digest[], signal: AbortSignal) {
  try {
    return await side.check(digests, signal)
  } catch (error) {
    if (signal.aborted || linkFate(error) !== 'down') throw error
    return 'down'
  }
}

/** Two of a million are taken for one with a probability of one in ten thousand. */
const numberOf = (digest: Digest): number => Number.parseInt(digest.slice(digest.indexOf(':') + 1).slice(0, 13), 16)

function itemOf(
  { name, faults }: CheckedSide,
  { path, sizeBytes }: Pick<PreviewItem, 'path' | 'sizeBytes'>,
  digest: Digest,
): PreviewItem[] {
  const fault = faults.get(digest)
  if (fault === undefined) return []
  const what = fault === 'MISSING' ? 'are missing' : 'are not those of its SHA-256'
  const reason = `its stored bytes at ${name} ${what}: run a scrub there (entrepot scrub), then upload it there again`
  return [{ class: 'DAMAGED', path, sizeBytes, conflict: false, reason }]
}
