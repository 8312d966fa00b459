import {
  deleteEach,
  type FileDeletion,
  type FileWrite,
  lockLive,
  type MetadataChange,
  putFiles,
  putMetadata,
} from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import type { Digest } from '../../core/digest.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { type Tombstone, tombstonesAt } from '../../metadata/nodes/tombstones.ts'
import { listPeers } from '../../metadata/replication/peers.ts'
import { tasksBack } from '../../metadata/replication/tasks-back.ts'
import type { ItemException, ItemResult, StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import { decide, type Standing } from './apply-rule.ts'
import { visible } from './checked.ts'
import type { Outcome, Rules } from './decision.ts'
import { deliveryMark } from './delivery-mark.ts'
import { fileWriteOf, isSameFile, metadataAfter } from './entry-write.ts'
import type { FileFrame, ItemFrame } from './incoming-batch.ts'
import { createParentLookup } from './parent-lookup.ts'
import { roomIn } from './room.ts'

/** Who writes, where to, and under which rules. */
export interface StreamSession {
  readonly repository: Repository
  readonly begin: StreamBegin
  /** `peer_link.id`. */
  readonly via: number
  /** Nothing is written: bytes of the quota that the batches before would have taken. */
  readonly trial?: { takenBytes: number } | undefined
}

/** One batch, judged as far as it can be without the database. */
export interface BatchToApply {
  readonly items: readonly ItemFrame[]
  /** By item: those that are not to be written, whatever stands at their path. */
  readonly spoilt: ReadonlyMap<number, Pick<ItemException, 'result' | 'reason'>>
  /** `peer.id` of each cluster id. */
  readonly peerIds: ReadonlyMap<string, number>
  /** Id of this cluster. */
  readonly clusterId: string
}
export interface Applied {
  readonly exceptions: ItemException[]
  /** An item failed for good: with `stopAtFailure` those that follow were not tried. */
  readonly failed: boolean
}

type Written = FileFrame
const isFile = (frame: ItemFrame): frame is FileFrame => frame.type !== 'version' && frame.type !== 'content'
const NOT_TRIED: Outcome = { result: 'not-tried' }
const NO_BLOB: Outcome = { result: 'no-blob' }
const FAILURES: ReadonlySet<ItemResult> = new Set(['conflict', 'refused'])

/**
 * Decides about each item as it stands in this transaction, and writes all of them together. `claim` is called once the nodes are
 * locked: it answers which of the digests are here, with their sizes, and keeps them.
 */
export async function applyBatch(
  trx: Transaction,
  { repository, begin, via, trial }: StreamSession,
  { items, spoilt, peerIds, clusterId }: BatchToApply,
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  now: number,
): Promise<Applied> {
  const good = items.filter((frame): frame is Written => isFile(frame) && !spoilt.has(frame.item))
  const rows = await lockLive(trx, repository.id, pathsAround(good))
  const visibleAt = (path: NodePath) => visible(rows.get(path), now)
  const mayHonour = begin.honourTombstones || begin.realTime === true
  const tombstones = await tombstonesAt(
    trx,
    repository.id,
    good.flatMap(({ type, path }) =>
      (mayHonour || type === 'delete') && visibleAt(path as NodePath) === undefined ? [path] : [],
    ),
  )
  const here = await claim(new Set(good.flatMap((frame) => (frame.type === 'entry' ? [frame.digest] : []))))
  const room = await roomIn(trx, repository.id, trial)

  const mutual = await mutualRules(trx, { repository, begin, via }, clusterId, { rows, tombstones })
  const rules = { ...begin, via, ...mutual }
  const obstacles = new Map<NodePath, string | undefined>()
  const parentAt = createParentLookup()
  const files: FileWrite[] = []
  const metadata: MetadataChange[] = []
  const deletions: FileDeletion[] = []

  function standing(path: NodePath): Standing {
    const parent = parentAt(path)
    // Files of one folder share what stands above them.
    if (!obstacles.has(parent)) {
      const file = ancestorsOf(path).find((ancestor) => visibleAt(ancestor)?.folder === false)
      obstacles.set(parent, file && `the target has a file at [${file}], where it needs a folder`)
    }
    return { row: visibleAt(path), tombstone: tombstones.get(path), blocked: obstacles.get(parent) }
  }
  function write(frame: Written, row: NodeRecord | undefined, as: 'written' | 'replaced'): Outcome {
    const stamp = {
      origin: peerIds.get(frame.origin) ?? 0,
      viaLink: via,
      viaMark: deliveryMark.write(begin.run, as === 'replaced'),
    }
    if (frame.type === 'delete') {
      const { deletedBy: by, hlc } = frame
      deletions.push({ file: row!, by, hlc, origin: stamp.origin, viaMark: stamp.viaMark })
      return { result: as }
    }
    const entries = metadataAfter(frame.metadata, row)
    if (frame.type === 'metadata' || isSameFile(frame, row)) {
      const { modifiedBy, modifiedAt, hlc } = frame
      metadata.push({ node: row!, metadata: entries, modifiedBy, modifiedAt, hlc, ...stamp })
      return { result: as }
    }
    const heldBytes = here.get(frame.digest)
    if (heldBytes === undefined) return NO_BLOB
    if (heldBytes !== frame.sizeBytes) {
      return { result: 'refused', reason: `its content has ${heldBytes} bytes, not ${frame.sizeBytes} as it says` }
    }
    const full = room.take(frame.sizeBytes - (rows.get(frame.path as NodePath)?.sizeBytes ?? 0))
    if (full !== undefined) return { result: 'refused', reason: full }
    files.push(fileWriteOf(frame, entries, stamp))
    return { result: as }
  }
  function settle(frame: ItemFrame): Outcome {
    const fault = spoilt.get(frame.item)
    if (fault !== undefined) return fault
    // Versions come in batches of their own (`apply-versions.ts`).
    const item = frame as Written
    const stands = standing(item.path as NodePath)
    const decision = decide(item, stands, rules)
    return 'write' in decision ? write(item, stands.row, decision.write) : decision
  }

  const exceptions: ItemException[] = []
  let failed = false
  for (const frame of items) {
    // A content is durable by now, or spoilt.
    if (frame.type === 'content' && !spoilt.has(frame.item)) continue
    const { result, reason = '', remote = null } = failed && begin.stopAtFailure ? NOT_TRIED : settle(frame)
    if (FAILURES.has(result)) failed = true
    if (result !== 'written') exceptions.push({ item: frame.item, result, reason, remote })
  }
  if (trial !== undefined) return { exceptions, failed }
  await putFiles(trx, repository, files, rows, now)
  await putMetadata(trx, repository, metadata, now)
  await deleteEach(trx, repository, deletions, { at: now, viaLink: via })
  return { exceptions, failed }
}

interface Found {
  readonly rows: ReadonlyMap<unknown, Pick<NodeRecord, 'folder' | 'viaLink'>>
  readonly tombstones: ReadonlyMap<unknown, Tombstone>
}

/**
 * What is another rule when a task here brings the same repository to the source (sync.md B.6, replication.md 8). Asked for only
 * where it decides something, and by each batch anew: a stream may outlive tasks.
 */
export async function mutualRules(
  trx: Transaction,
  { repository, begin, via }: StreamSession,
  clusterId: string,
  { rows, tombstones }: Found,
): Promise<Pick<Rules, 'honourTombstones' | 'laterWins'>> {
  const { honourTombstones, fromProject, fromRepo } = begin
  const mayOverwrite =
    begin.conflictStrategy === 'OVERWRITE' && [...rows.values()].some((row) => !row.folder && row.viaLink !== via)
  const mayHonour = begin.realTime === true && !begin.honourTombstones && tombstones.size > 0
  const source = { peerId: begin.sourceId, project: fromProject, repo: fromRepo }
  if (!mayOverwrite && !mayHonour) return { honourTombstones, laterWins: undefined }
  const back = await tasksBack(trx, repository, source)
  const peers = mayOverwrite && back.overwrites ? await listPeers(trx) : undefined
  return {
    honourTombstones: honourTombstones || (mayHonour && back.realTime),
    laterWins: peers && ((origin) => peers.get(origin) ?? clusterId),
  }
}

/** The items' own and all folders above them, each once. */
function pathsAround(items: readonly Written[]): NodePath[] {
  const paths = new Set<NodePath>()
  const seen = new Set<NodePath>()
  const parentAt = createParentLookup()
  for (const frame of items) {
    const path = frame.path as NodePath
    paths.add(path)
    const parent = parentAt(path)
    if (seen.has(parent)) continue
    seen.add(parent)
    for (const folder of ancestorsOf(path)) paths.add(folder)
  }
  return [...paths]
}
