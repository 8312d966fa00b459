import { deleteFiles } from '../../artifacts/nodes/node-writer.ts'
import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import { type CopiedWords, putVersionCopies, type VersionCopy } from '../../artifacts/packages/version-copies.ts'
import type { VersionPart } from '../../artifacts/packages/version-draft.ts'
import { removeVersions } from '../../artifacts/packages/version-removal.ts'
import { lanesOfFiles, lanesOfVersion } from '../../artifacts/packages/version-rows.ts'
import type { Digest } from '../../core/digest.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import { lockPackages } from '../../metadata/packages/packages.ts'
import { claimedByOthers } from '../../metadata/packages/version-files.ts'
import type { KeyedVersion } from '../../metadata/packages/versions.ts'
import type {
  DeleteFrame,
  ItemException,
  ItemResult,
  VersionFileEntry,
  VersionFrame,
} from '../../remotes/cluster/frames/frame.ts'
import { type Applied, type BatchToApply, mutualRules, type StreamSession } from './apply-batch.ts'
import type { Outcome, Rules } from './decision.ts'
import { deliveryMark } from './delivery-mark.ts'
import type { ItemFrame } from './incoming-batch.ts'
import { createPackageNotes } from './package-notes.ts'
import { roomIn } from './room.ts'
import { namedBy, type PackageFrame, readVersionFacts, type VersionFacts } from './version-facts.ts'
import { createFilePreparer, filesStanding } from './version-files.ts'
import { type Arriving, decideRemoval, decideVersion } from './version-rule.ts'

const NOT_TRIED: Outcome = { result: 'not-tried' }
const FAILURES: ReadonlySet<ItemResult> = new Set(['conflict', 'refused'])
/** Says of a version that it came from another cluster; the system's, and no part of what is compared. */
const FROM_REPLICATION = { key: 'sourceType', value: 'REPLICATION', system: true }

interface Removal {
  readonly version: KeyedVersion
  readonly stamp: Deletion
}

/**
 * Decides about versions, packages and their ends as they stand in this transaction, and writes all of them together: a version with
 * all its files, or nothing of it. `claim` is called once the nodes are locked: it answers which of the digests are here, with their
 * sizes, and keeps them.
 */
export async function applyVersions(
  trx: Transaction,
  session: StreamSession,
  { items, spoilt, peerIds, clusterId }: BatchToApply,
  packageRules: PackageRules,
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  now: number,
): Promise<Applied> {
  const { repository, begin, via } = session
  const isAbout = (frame: ItemFrame): frame is PackageFrame => frame.type === 'version' || frame.type === 'delete'
  const good = items.filter(isAbout).filter(({ item }) => !spoilt.has(item))
  const originOf = (cluster: string): number => peerIds.get(cluster) ?? 0
  const facts = await readVersionFacts(trx, session, good, packageRules, { claim, originOf, now })
  const room = await roomIn(trx, repository.id, session.trial)
  const mutual = await mutualRules(trx, session, clusterId, { rows: linksOf(facts), tombstones: facts.tombstones })
  const rules: Rules = { ...begin, via, ...mutual }
  const prepare = createFilePreparer(facts, room, originOf)
  const notes = createPackageNotes(facts, rules, originOf, now)
  const copies: VersionCopy[] = []
  const removals: Removal[] = []

  function settle(frame: PackageFrame): Outcome {
    if (frame.type === 'delete') return settleRemoval(frame)
    return frame.version === '' ? notes.settle(frame, namedBy(frame).key) : settleVersion(frame)
  }
  function settleVersion(frame: VersionFrame): Outcome {
    const { path, key, name } = namedBy(frame)
    const { files, written } = frame.document
    const row = facts.versions.get(path)
    const [words, parts] = [wordsAfter(frame, row), partsOf(files)]
    const standing = { row, tombstone: facts.tombstones.get(path), ...filesStanding(facts, files, row, via) }
    const decision = decideVersion(arrivingOf(frame, words, parts), standing, rules)
    if (!('write' in decision)) {
      if (EQUAL.has(decision.result)) notes.note(frame, key, 'unchanged')
      return decision
    }
    const viaMark = deliveryMark.write(begin.run, decision.write === 'replaced')
    const prepared = prepare({ files, row, stamp: { viaLink: via, viaMark } })
    if ('result' in prepared) return prepared
    copies.push({
      ...{ owner: facts.packages.get(key)!, before: row, beforeFiles: facts.filesOf(row), name, parts, words },
      ...prepared,
      author: { ...written, origin: originOf(frame.origin), hlc: frame.hlc, viaLink: via, viaMark },
    })
    notes.note(frame, key, 'changed')
    return { result: decision.write }
  }
  function settleRemoval(frame: DeleteFrame): Outcome {
    const row = facts.versions.get(frame.path)
    const decision = decideRemoval(frame, { row, tombstone: facts.tombstones.get(frame.path) }, rules)
    if (!('write' in decision)) return decision
    const { deletedBy: by, hlc, origin } = frame
    const viaMark = deliveryMark.write(begin.run, false)
    removals.push({ version: row!, stamp: { by, hlc, at: now, origin: originOf(origin), viaLink: via, viaMark } })
    return { result: decision.write }
  }

  const exceptions: ItemException[] = []
  let failed = false
  for (const frame of items) {
    // Contents are durable by now, or spoilt.
    if (frame.type === 'content' && !spoilt.has(frame.item)) continue
    const isTried = !(failed && begin.stopAtFailure)
    const outcome = isTried ? (spoilt.get(frame.item) ?? settle(frame as PackageFrame)) : NOT_TRIED
    const { result, reason = '', remote = null }: Outcome = outcome
    if (FAILURES.has(result)) failed = true
    if (result !== 'written') exceptions.push({ item: frame.item, result, reason, remote })
  }
  if (session.trial !== undefined) return { exceptions, failed }
  await putVersionCopies(trx, repository, copies, notes.copies(), facts.rows, packageRules, now)
  // One by one, each with its own stamp: a source sends few.
  for (const removal of removals) await remove(trx, session, facts, removal)
  return { exceptions, failed }
}

const EQUAL: ReadonlySet<ItemResult> = new Set(['unchanged', 'delivered', 'delivered-replaced'])

async function remove(
  trx: Transaction,
  { repository }: StreamSession,
  facts: VersionFacts,
  { version, stamp }: Removal,
): Promise<void> {
  const paths = facts.pathsOf(version)
  const needed = await claimedByOthers(trx, repository.id, paths, [version.id])
  const gone = paths.flatMap((path) => (needed.has(path) ? [] : (facts.rows.get(path) ?? [])))
  await removeVersions(trx, repository.id, await lockPackages(trx, [version.packageId]), [version], stamp)
  await deleteFiles(trx, repository, gone, stamp)
}

/** Who wrote what is here. */
function linksOf({ versions, packages }: VersionFacts) {
  const rows = [...versions.values(), ...packages.values()].map(({ viaLink }) => ({ folder: false, viaLink }))
  return new Map(rows.entries())
}

function arrivingOf(frame: VersionFrame, words: CopiedWords, parts: readonly VersionPart[]): Arriving {
  const { key, name } = namedBy(frame)
  const { hlc, origin, expect } = frame
  return {
    name: `version [${name}] of package [${key}]`,
    contentLanes: lanesOfFiles(key, name, parts),
    metadataLanes: lanesOfVersion(key, { name, ...words }),
    ...{ hlc, origin, expect },
  }
}

/** The source's words in place of those of users here; what the system noted here stays. */
function wordsAfter({ document }: VersionFrame, row: KeyedVersion | undefined): CopiedWords {
  const { manifestPath, extension, metadata, tags, stageTags } = document
  const there = row?.metadata ?? []
  const noted = there.filter(({ key, system }) => system === true && key !== FROM_REPLICATION.key)
  const said: Metadata = metadata ?? there.filter(({ system }) => system !== true)
  return {
    ...{ manifestPath: manifestPath as NodePath | null, extension, metadata: [...said, ...noted, FROM_REPLICATION] },
    tags: metadata === null ? (row?.tags ?? []) : tags,
    stageTags: metadata === null ? (row?.stageTags ?? []) : stageTags,
  }
}

const partsOf = (files: readonly VersionFileEntry[]): VersionPart[] =>
  files.map(({ path, role, digest, sizeBytes }) => ({ path: path as NodePath, role, digest, sizeBytes }))
