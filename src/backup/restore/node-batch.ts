import { putFolderCopies } from '../../artifacts/nodes/folder-copies.ts'
import {
  type FileWrite,
  lockLive,
  type MetadataChange,
  putFiles,
  putMetadata,
} from '../../artifacts/nodes/node-writer.ts'
import { stampOver } from '../../artifacts/nodes/settle.ts'
import type { Digest } from '../../core/digest.ts'
import type { Hlc, HlcClock } from '../../core/hlc.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { claimsAt } from '../../metadata/packages/version-files.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'
import type { DecodedNode } from '../records/decoded.ts'
import { judgeNode, type NodeStanding, type NodeVerdict } from './judge-node.ts'

/** How nodes of one repository are written. */
export interface NodeRules {
  readonly repository: Repository
  readonly onConflict: 'SKIP' | 'OVERWRITE'
  /** Who made folders that the backup does not name. */
  readonly by: string
  /** `defer`: a file of a version that is here gets other bytes only together with the version. */
  readonly claimed: 'defer' | 'write'
}

/** What became of the nodes of a batch; each is in one of the lists, or counted. */
export interface NodeOutcome {
  written: number
  unchanged: number
  kept: number
  /** Kept, with other bytes than the backup has. */
  readonly strangers: NodePath[]
  readonly deferred: DecodedNode[]
  /** Their contents are not here any more. */
  readonly lacking: DecodedNode[]
  readonly refused: { readonly node: DecodedNode; readonly reason: string }[]
}

/** The paths themselves and all folders above them, each once. */
export const pathsAround = (nodes: readonly { readonly path: NodePath }[]): NodePath[] => [
  ...new Set(nodes.flatMap(({ path }) => [path, ...ancestorsOf(path)])),
]

/** Says what stands at a path, among rows that were read at `pathsAround` it. */
export function standingAmong(rows: ReadonlyMap<NodePath, NodeRecord>, now: number): (path: NodePath) => NodeStanding {
  const visibleAt = (path: NodePath) => {
    const row = rows.get(path)
    return row === undefined || isExpired(row, now) ? undefined : row
  }
  return (path) => ({
    row: visibleAt(path),
    fileAbove: ancestorsOf(path).find((above) => visibleAt(above)?.folder === false),
  })
}

/**
 * Judges nodes as they stand in this transaction and writes all of them together, as ordinary changes made here. No two have the
 * same path. `claim` is called once nodes are locked: it answers which of the digests are here, with their sizes, and keeps them.
 * @throws as `putFiles`.
 */
export async function putNodes(
  trx: Transaction,
  { repository, onConflict, by, claimed }: NodeRules,
  nodes: readonly DecodedNode[],
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  hlc: HlcClock,
  now: number,
): Promise<NodeOutcome> {
  const outcome: NodeOutcome = { written: 0, unchanged: 0, kept: 0, ...lists() }
  const rows = await lockLive(trx, repository.id, pathsAround(nodes))
  const standingAt = standingAmong(rows, now)
  const judged = nodes.map((node) => ({ node, verdict: judgeNode(node, standingAt(node.path), onConflict) }))
  const wanted = judged.flatMap(({ node, verdict }) => (verdict.is === 'write' ? (node.digest ?? []) : []))
  const here = await claim(new Set(wanted))
  const isLost = await lostAmong(trx, judged, rows)
  const others = judged.flatMap(({ node, verdict }) => {
    const row = rows.get(node.path)
    const isOther = verdict.is === 'write' && row !== undefined && row.digest !== node.digest
    return isOther ? [node.path] : []
  })
  const inVersions = new Set(
    claimed === 'write' ? [] : (await claimsAt(trx, repository.id, others)).map(({ path }) => path),
  )
  const stamp = stampOver(hlc, [...rows.values()])
  const files: FileWrite[] = []
  const folders: DecodedNode[] = []
  const changes: MetadataChange[] = []
  for (const { node, verdict } of judged) {
    if (verdict.is === 'refused') outcome.refused.push({ node, reason: verdict.reason })
    else if (isLost(node)) outcome.lacking.push(node)
    else if (verdict.is === 'unchanged') outcome.unchanged++
    else if (verdict.is === 'kept') {
      outcome.kept++
      if (verdict.differs) outcome.strangers.push(node.path)
    } else if (verdict.is === 'describe') changes.push(changeOf(node, rows.get(node.path)!, stamp))
    else if (node.folder) folders.push(node)
    else if (here.get(node.digest!) === undefined) outcome.lacking.push(node)
    else if (here.get(node.digest!) !== node.sizeBytes) {
      const reason = `its content has ${here.get(node.digest!)} bytes, not ${node.sizeBytes} as its record says`
      outcome.refused.push({ node, reason })
    } else if (inVersions.has(node.path)) outcome.deferred.push(node)
    else files.push(fileWriteOf(node, stamp))
  }
  await putFolderCopies(trx, repository, folders, by, now, stamp)
  await putFiles(trx, repository, files, rows, now)
  await putMetadata(trx, repository, changes, now)
  outcome.written = folders.length + files.length + changes.length
  return outcome
}

/** Files that stay with the content that they have, whose content is not here: a scrub withdrew it, say. */
async function lostAmong(
  trx: Transaction,
  judged: readonly { readonly node: DecodedNode; readonly verdict: NodeVerdict }[],
  rows: ReadonlyMap<NodePath, NodeRecord>,
): Promise<(node: DecodedNode) => boolean> {
  const staying = judged.filter(({ node, verdict }) => {
    const isSame = node.digest !== undefined && rows.get(node.path)?.digest === node.digest
    return isSame && verdict.is !== 'write' && verdict.is !== 'refused'
  })
  const digests = new Map(staying.map(({ node }) => [node, node.digest!]))
  const known = await knownBlobs(trx, [...new Set(digests.values())])
  return (node) => digests.has(node) && !known.has(node.digest!)
}

const lists = () => ({ strangers: [], deferred: [], lacking: [], refused: [] })

export const fileWriteOf = (node: DecodedNode, hlc: Hlc): FileWrite => ({
  path: node.path,
  digest: node.digest!,
  sizeBytes: node.sizeBytes,
  md5: node.md5 ?? undefined,
  crc64: node.crc64 ?? undefined,
  metadata: node.metadata,
  expiresAt: node.expiresAt ?? undefined,
  createdBy: node.createdBy,
  createdAt: node.createdAt,
  modifiedBy: node.modifiedBy,
  modifiedAt: node.modifiedAt,
  accessedAt: node.accessedAt,
  ...MADE_HERE,
  hlc,
})

function changeOf(node: DecodedNode, row: NodeRecord, hlc: Hlc): MetadataChange {
  const { metadata, modifiedBy, modifiedAt } = node
  return { node: row, metadata, modifiedBy, modifiedAt, ...MADE_HERE, hlc }
}

const MADE_HERE = { origin: 0, viaLink: undefined, viaMark: undefined } as const
