import { digestFromBytes } from '../../../core/digest.ts'
import { hasCode } from '../../../core/errors.ts'
import type { Random } from '../../../core/ids.ts'
import type { Findings } from '../findings.ts'
import type { VerifyFinding, VerifyReport, VerifyShare } from '../layout.ts'
import { chosenBy } from '../verify-share.ts'
import { dataName, readTrailer } from './data-object.ts'
import { listData } from './data-objects.ts'
import { type Entry, isContent } from './entry.ts'
import { createEntryReader, type EntryReader } from './entry-reader.ts'
import type { FrameThreads } from './frame-threads.ts'
import { createHeldFindings } from './held-findings.ts'
import { decodeIndex } from './index-table.ts'
import { readMarks } from './marks.ts'
import type { Repository } from './repository.ts'
import { openObject, readWhole } from './sealed-object.ts'
import { snapshotName } from './snapshot-object.ts'
import { verifyEntries } from './verify-entries.ts'
import { checkObjects, neededEntries, telling } from './verify-snapshot.ts'

export interface RepositoryReport extends VerifyReport {
  readonly snapshots: number
  /** Data objects that no snapshot needs: prune removes them in time. */
  readonly unneeded: number
}

/**
 * All snapshots, and every object whoever needs it: keys, indexes, snapshots and the ends of data objects are read, entries by share.
 * With all of them no bit of the repository can have changed unnoticed.
 */
export async function verifyRepository(
  repository: Repository,
  { threads, random }: { readonly threads: FrameThreads; readonly random: Pick<Random, 'next'> },
  share: VerifyShare,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<RepositoryReport> {
  const findings = createHeldFindings(repository)
  await using reader = createEntryReader(repository.location, repository.master)
  const names = await repository.snapshots(signal)
  const needed = new Set<string>()
  await repository.index.refresh(signal)
  const indexed = [...repository.index.tables.values()].flatMap((table) => table.objects)
  // After the index: all that it names is there, but for what is missing and what a prune removes from here on.
  const sizes = await listData(repository.location, signal)
  for (const name of names) {
    const { told, objects } = await needsOfSnapshot({ repository, reader }, name, signal)
    for (const finding of told) findings.wrong(finding)
    for (const object of objects) needed.add(object)
  }
  await verifySmallObjects(repository, findings, signal)
  const entries: Entry[] = []
  for (const [id, sizeBytes] of sizes) {
    await telling(findings, dataName(id), async () => {
      const its = await unlessGone(reader.withData(id, signal, (data) => readTrailer(data, signal)))
      for (const entry of its ?? []) entries.push(entry)
      if (!repository.index.hasObject(id))
        findings.odd({ object: dataName(id), reason: 'no index has it: a run that died left it' })
    })
    if (!repository.index.hasObject(id)) findings.object(sizeBytes)
  }
  checkObjects(
    repository,
    sizes,
    indexed.map(({ id }) => ({ key: NO_KEY, object: id, offset: 0, storedBytes: 0, plainBytes: 0 })),
    findings,
  )
  checkIndex(repository, entries, sizes, findings)
  const isChosen = chosenBy(share, random)
  const chosen = entries.filter(({ key }) => !isContent(key) || isChosen(digestFromBytes(key.subarray(0, 32))))
  const hashing = repository.master === undefined ? 'sha256' : 'none'
  await verifyEntries({ reader, threads, hashing, findings, onBytes }, chosen, signal)
  await findings.settle(signal)
  const unneeded = [...sizes.keys()].filter((id) => !needed.has(id)).length
  return { ...findings.report, snapshots: names.length, unneeded }
}
const NO_KEY = Buffer.alloc(0)

interface SnapshotNeeds {
  readonly told: readonly VerifyFinding[]
  /** Data objects that hold what it needs. */
  readonly objects: ReadonlySet<string>
}

/** Of a snapshot that is gone meanwhile, nothing is told. */
async function needsOfSnapshot(
  { repository, reader }: { readonly repository: Repository; readonly reader: EntryReader },
  name: string,
  signal: AbortSignal,
): Promise<SnapshotNeeds> {
  const told: VerifyFinding[] = []
  const objects = new Set<string>()
  const wrong = (finding: VerifyFinding): void => {
    told.push(finding)
  }
  await telling({ wrong }, snapshotName(name), async () => {
    const snapshot = await unlessGone(repository.snapshot(name, signal))
    if (snapshot === undefined) return
    const { records, contents } = await neededEntries({ repository, reader }, snapshot, { wrong }, signal)
    for (const { object } of [...records, ...contents.values()]) objects.add(object)
  })
  if (told.length === 0) return { told, objects }
  const isThere = (await repository.location.find(snapshotName(name), signal)) !== undefined
  return { told: isThere ? told : [], objects }
}

/** What was listed a moment ago and is gone was removed by somebody: by retention, by a prune, or it was made one with others. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
    throw error
  }
}

/** Keys, indexes as they lie there, marks. The config was read when the repository was opened. */
async function verifySmallObjects(
  { location, keys, index, master }: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  for (const { id, createdDate } of await keys.list(signal)) {
    if (createdDate === undefined) findings.wrong({ object: `keys/${id}`, reason: 'it is not what was written' })
  }
  for (const id of index.tables.keys()) {
    await telling(findings, `index/${id}`, async () => {
      const bytes = await unlessGone(readWhole(location, `index/${id}`, signal))
      if (bytes === undefined) return
      decodeIndex(openObject({ kind: 'index', id: Buffer.from(id, 'hex'), master }, bytes))
      findings.object(bytes.length)
    })
  }
  await telling(findings, 'marks', async () => {
    await readMarks(location, master, signal)
  })
}

/** What the index tells of an object is what the object tells of itself. */
function checkIndex(
  { index }: Repository,
  entries: readonly Entry[],
  sizes: ReadonlyMap<string, number>,
  findings: Findings,
): void {
  const nameOf = ({ object, offset, key }: Entry) => `${object}${offset}${key.toString('latin1')}`
  const known = new Map(entries.map((entry) => [nameOf(entry), entry]))
  for (const table of index.tables.values()) {
    for (let row = 0; row < table.rows; row++) {
      const told = table.entryAt(row)
      const found = known.get(nameOf(told))
      const isSame = found?.storedBytes === told.storedBytes && found.plainBytes === told.plainBytes
      if (!isSame && sizes.has(told.object)) {
        findings.wrong({ object: dataName(told.object), reason: 'an index tells of an entry that it does not have' })
      }
    }
  }
}
