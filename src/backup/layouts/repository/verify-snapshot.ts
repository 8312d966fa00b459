import { type Digest, digestFromBytes } from '../../../core/digest.ts'
import { hasCode, messageOf } from '../../../core/errors.ts'
import type { Random } from '../../../core/ids.ts'
import type { Findings } from '../findings.ts'
import type { VerifyReport, VerifyShare } from '../layout.ts'
import { chosenBy } from '../verify-share.ts'
import { dataName } from './data-object.ts'
import { listData } from './data-objects.ts'
import { type Entry, entryKey } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import type { FrameThreads } from './frame-threads.ts'
import { createHeldFindings } from './held-findings.ts'
import { checkedParts } from './part-lines.ts'
import { digestsIn, needsOfParts, partEntry, partsOf } from './record-needs.ts'
import type { Repository } from './repository.ts'
import type { Snapshot } from './snapshot-object.ts'
import { verifyEntries } from './verify-entries.ts'

export interface SnapshotGround {
  readonly repository: Repository
  readonly reader: EntryReader
  readonly threads: FrameThreads
  readonly random: Pick<Random, 'next'>
}

/**
 * Everything the snapshot needs is in an index and lies there; its records are read, and of its contents a share. When a prune has put
 * some of it elsewhere meanwhile, it is done again, with the index as it is by then.
 */
export async function verifySnapshot(
  ground: SnapshotGround,
  snapshot: Snapshot,
  share: VerifyShare,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const first = await verifyOnce(ground, snapshot, share, onBytes, signal)
  if (first.moved === 0) return first.report
  await ground.repository.index.refresh(signal)
  return (await verifyOnce(ground, snapshot, share, onBytes, signal)).report
}

async function verifyOnce(
  ground: SnapshotGround,
  snapshot: Snapshot,
  share: VerifyShare,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<{ readonly report: VerifyReport; readonly moved: number }> {
  const { repository, reader, threads, random } = ground
  const findings = createHeldFindings(repository)
  const needed = await neededEntries(ground, snapshot, findings, signal)
  // After the index: all that it names is there, but for what is missing and what a prune removes from here on.
  const sizes = await listData(repository.location, signal)
  checkObjects(repository, sizes, [...needed.records, ...needed.contents.values()], findings)
  const isChosen = chosenBy(share, random)
  const contents = [...needed.contents].filter(([digest]) => isChosen(digest)).map(([, entry]) => entry)
  const isThere = ({ object }: Entry) => sizes.has(object)
  const hashing = repository.master === undefined ? 'sha256' : 'none'
  const entries = [...needed.records, ...contents].filter(isThere)
  await verifyEntries({ reader, threads, hashing, findings, onBytes }, entries, signal)
  const moved = await findings.settle(signal)
  return { report: findings.report, moved: moved.size }
}

export interface NeededEntries {
  /** Records, and what they need. */
  readonly records: readonly Entry[]
  readonly contents: ReadonlyMap<Digest, Entry>
}

/** What a snapshot needs; each that no index has is a finding. What a prune has put elsewhere is looked up again before it is told. */
export async function neededEntries(
  ground: Pick<SnapshotGround, 'repository' | 'reader'>,
  snapshot: Snapshot,
  findings: Pick<Findings, 'wrong'>,
  signal: AbortSignal,
): Promise<NeededEntries> {
  let isWhole = true
  const wrong = (): void => {
    isWhole = false
  }
  const first = await lookUp(ground, snapshot, { wrong }, signal)
  if (isWhole) return first
  await ground.repository.index.refresh(signal)
  return lookUp(ground, snapshot, findings, signal)
}

async function lookUp(
  { repository, reader }: Pick<SnapshotGround, 'repository' | 'reader'>,
  { manifest, missing }: Snapshot,
  findings: Pick<Findings, 'wrong'>,
  signal: AbortSignal,
): Promise<NeededEntries> {
  const records: Entry[] = []
  const contents = new Map<Digest, Entry>()
  const known = new Set(missing)
  for (const file of manifest.files) {
    await telling(findings, file.path, async () => {
      records.push(...checkedParts(repository, file))
    })
  }
  for (const part of partsOf(manifest)) {
    await telling(findings, `part ${part}`, async () => {
      const entry = partEntry(repository, 'needs', part)
      records.push(entry)
      for await (const needs of needsOfParts(repository, reader, [part], signal)) {
        for (const bytes of digestsIn(needs)) {
          const key = entryKey('content', bytes)
          const place = repository.index.find(key)
          const digest = digestFromBytes(bytes)
          if (place !== undefined) contents.set(digest, { key, ...place })
          else if (!known.has(bytes.toString('hex')))
            findings.wrong({ object: digest, reason: 'no index has this content' })
        }
      }
    })
  }
  return { records: [...new Map(records.map((entry) => [entry.key.toString('latin1'), entry])).values()], contents }
}

/** Whether the objects of entries are there, with the sizes that the index tells. */
export function checkObjects(
  { index }: Repository,
  sizes: ReadonlyMap<string, number>,
  entries: readonly Entry[],
  findings: Findings,
): void {
  const used = new Set(entries.map(({ object }) => object))
  const told = new Set<string>()
  for (const table of index.tables.values()) {
    for (const { id, sizeBytes } of table.objects) {
      if (!used.has(id) || told.has(id)) continue
      told.add(id)
      const found = sizes.get(id)
      if (found === undefined) findings.wrong({ object: dataName(id), reason: 'it is missing' })
      else findings.object(found)
      if (found !== undefined && found !== sizeBytes) {
        findings.wrong({ object: dataName(id), reason: `it has ${found} bytes, and should have ${sizeBytes}` })
      }
    }
  }
}

/** What is damaged or gone is a finding; everything else ends the verification. */
export async function telling(
  findings: Pick<Findings, 'wrong'>,
  object: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN', 'PERMISSION_DENIED')) throw error
    findings.wrong({ object, reason: messageOf(error) })
  }
}
