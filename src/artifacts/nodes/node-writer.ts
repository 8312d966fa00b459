import { AppError, type ErrorExtra } from '../../core/errors.ts'
import type { Hlc } from '../../core/hlc.ts'
import { metadataLanes, NO_LANES } from '../../core/lanes.ts'
import { ancestorsOf, comparePaths, type NodePath, parentOf, ROOT } from '../../core/paths.ts'
import { appendChanges, type Change, type FileLanes } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import {
  type Deleted,
  type Deletion,
  insertNodes,
  lockLiveRows,
  retireNodes,
  saveEachTombstone,
  updateNodeMetadata,
} from '../../metadata/nodes/node-writes.ts'
import { isExpired, liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { type HeldRepository, holdRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import { chargeUsage } from '../../metadata/repositories/usage.ts'
import { keepVersions } from '../packages/version-upkeep.ts'
import { repositoryGone, repositoryNotFound } from '../repositories/repositories.ts'
import { type FileWrite, fileRow, folderRow, recordOf } from './node-rows.ts'

export type { FileWrite } from './node-rows.ts'

type Target = Pick<Repository, 'id' | 'project' | 'name'>

/** New metadata of a live node, in place of all it had. */
export interface MetadataChange
  extends Pick<FileWrite, 'metadata' | 'modifiedBy' | 'modifiedAt' | 'origin' | 'hlc' | 'viaLink' | 'viaMark'> {
  readonly node: NodeRecord
}

/** Live rows at these paths, expired ones included, which nobody else changes before the transaction ends. */
export async function lockLive(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, NodeRecord>> {
  return lockLiveRows(trx, repoId, paths)
}

/**
 * Writes files and their change log rows, at a number of statements that does not grow with the files (up to 500 a call).
 * `current` holds what `lockLive` found at these paths in this transaction (more does no harm): files in it are replaced, the old
 * row stays as soft-deleted. Missing parent folders are made. `at` is now, by this cluster's clock.
 * @returns the new rows, in the order of the writes.
 * @throws AppError NODE_CONFLICT for a folder at a file's path or a file at a parent's; NODE_EXISTED, retryable, when somebody else
 * wrote the path since `lockLive`; REPOSITORY_NOT_FOUND when the repository was deleted. The transaction must then roll back.
 * Before it commits, `transact` may throw QUOTA_EXCEEDED: bytes count as new minus replaced (docs/design/quotas.md).
 */
export async function putFiles(
  trx: Transaction,
  repository: Target,
  writes: readonly FileWrite[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  at: number,
): Promise<NodeRecord[]> {
  if (writes.length === 0) return []
  const held = await hold(trx, repository)
  const replaced: { id: number; by: string }[] = []
  for (const { path, modifiedBy } of writes) {
    const row = current.get(path)
    if (path === ROOT || row?.folder) throw folderInTheWay(path)
    if (row !== undefined) replaced.push({ id: row.id, by: modifiedBy })
  }
  const { modifiedBy: by, hlc } = writes[0]!
  const replacedPaths = writes.flatMap(({ path }) => (current.has(path) ? [path] : []))
  const parents = writes.map(({ path }) => parentOf(path))
  await ensureFolders(trx, repository, parents, current, { by, at, hlc, origin: 0, viaLink: null })
  if ((await retireNodes(trx, replaced, at)) < replaced.length) throw changedMeanwhile('a file to be replaced')
  const records = writes.map((write) => recordOf(repository.id, write))
  // In order of path, so that two batches over the same paths wait for each other instead of locking each other out.
  const rows = records.map(fileRow).sort((a, b) => comparePaths(a.path, b.path))
  const ids = await insertNodes(trx, rows)
  if (ids.size < rows.length) throw await occupied(trx, repository.id, rows, ids)
  const changes = records.map((record): Change => {
    const { repoId, path, origin, viaLink } = record
    return { repoId, path, op: 1, origin, viaLink, at, before: lanesOf(current.get(path)), after: lanesOf(record) }
  })
  await appendChanges(trx, changes)
  const { origin, viaLink = null } = writes[0]!
  await keepVersions(trx, repository.id, replacedPaths, { by, at, hlc, origin, viaLink })
  const lostBytes = sumOfSizes(writes.flatMap(({ path }) => current.get(path) ?? []))
  chargeUsage(trx, held, sumOfSizes(writes) - lostBytes)
  return records.map((record) => ({ ...record, id: ids.get(record.path)! }))
}

/**
 * Changes metadata in place; files get a change log row. The nodes come from `lockLive` in this transaction.
 * @throws AppError NODE_EXISTED, retryable, when one was replaced or deleted since.
 */
export async function putMetadata(
  trx: Transaction,
  repository: Pick<Target, 'id'>,
  changes: readonly MetadataChange[],
  at: number,
): Promise<NodeRecord[]> {
  if (changes.length === 0) return []
  const records = changes.map(({ node, ...change }): NodeRecord => {
    const { metadata, modifiedBy, modifiedAt, origin, hlc } = change
    const lanes = node.folder ? NO_LANES : metadataLanes(node.path, metadata)
    const via = { viaLink: change.viaLink ?? null, viaMark: change.viaMark ?? null }
    return { ...node, metadata, metadataLanes: lanes, modifiedBy, modifiedAt, origin, hlc, ...via }
  })
  const written = await updateNodeMetadata(
    trx,
    records.map((record) => ({ ...record, metadata: JSON.stringify(record.metadata), lanes: record.metadataLanes })),
  )
  if (written < changes.length) throw changedMeanwhile('a node')
  const logged = records.flatMap((record, index): Change[] => {
    if (record.folder) return []
    const { path, origin, viaLink } = record
    const before = lanesOf(changes[index]!.node)
    return [{ repoId: repository.id, path, op: 3, origin, viaLink, at, before, after: lanesOf(record) }]
  })
  await appendChanges(trx, logged)
  return records
}

/** Makes folders and their parents; those that are there stay. @returns what it made. @throws AppError NODE_CONFLICT for a file in the way. */
export async function putFolders(
  trx: Transaction,
  repository: Target,
  paths: readonly NodePath[],
  by: string,
  at: number,
  hlc: Hlc,
): Promise<Set<NodePath>> {
  await hold(trx, repository)
  return ensureFolders(trx, repository, paths, new Map(), { by, at, hlc, origin: 0, viaLink: null })
}

/**
 * Soft-deletes files; each leaves a tombstone and a change log row. They come from `lockLive` in this transaction.
 * @throws AppError NODE_EXISTED, retryable, when one was replaced or deleted since; REPOSITORY_NOT_FOUND.
 */
export async function deleteFiles(
  trx: Transaction,
  repository: Pick<Target, 'id'>,
  files: readonly NodeRecord[],
  deletion: Deletion,
): Promise<Deleted> {
  const { at: _, viaLink: _link, ...stamp } = deletion
  const deletions = files.map((file): FileDeletion => ({ file, ...stamp }))
  return deleteEach(trx, repository, deletions, deletion)
}

/** One file of `lockLive`, and who deletes it with which stamp. */
export interface FileDeletion extends Pick<Deletion, 'by' | 'hlc' | 'origin' | 'viaMark'> {
  readonly file: NodeRecord
}

/** `deleteFiles` where each file goes in its own name, as deletions of other clusters do. */
export async function deleteEach(
  trx: Transaction,
  repository: Pick<Target, 'id'>,
  deletions: readonly FileDeletion[],
  { at, viaLink }: Pick<Deletion, 'at' | 'viaLink'>,
): Promise<Deleted> {
  const [first] = deletions
  if (first === undefined) return { files: 0, folders: 0, bytes: 0 }
  const held = await holdRepository(trx, repository.id)
  if (held === undefined) throw repositoryGone(repository.id)
  const gone = deletions.map(({ file, by }) => ({ id: file.id, by }))
  if ((await retireNodes(trx, gone, at)) < gone.length) throw changedMeanwhile('a file to be deleted')
  const tombstones = deletions.map(({ file: { path }, ...deletion }) => ({ path, ...deletion, viaLink }))
  await saveEachTombstone(trx, repository.id, tombstones, at)
  const changes = deletions.map(({ file, origin }): Change => {
    const { path } = file
    return { repoId: repository.id, path, op: 2, origin, viaLink, at, before: lanesOf(file), after: undefined }
  })
  await appendChanges(trx, changes)
  const paths = tombstones.map(({ path }) => path)
  await keepVersions(trx, repository.id, paths, { by: first.by, hlc: first.hlc, origin: first.origin, at, viaLink })
  const bytes = sumOfSizes(deletions.map(({ file }) => file))
  chargeUsage(trx, held, -bytes)
  return { files: deletions.length, folders: 0, bytes }
}

const sumOfSizes = (files: readonly { readonly sizeBytes: number }[]): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

async function hold(trx: Transaction, { id, project, name }: Target): Promise<HeldRepository> {
  const held = await holdRepository(trx, id)
  if (held === undefined) throw repositoryNotFound(project, name)
  return held
}

/** All of `folders` are there afterwards and stay until the transaction ends. Expired files in the way are deleted as `stamp` says. @returns what it made. */
async function ensureFolders(
  trx: Transaction,
  repository: Target,
  folders: readonly NodePath[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  stamp: Deletion,
): Promise<Set<NodePath>> {
  const isKnown = (path: NodePath) => path === ROOT || current.get(path)?.folder === true
  const wanted = new Set(folders.filter((path) => !isKnown(path)))
  const missing = await absentAmong(trx, repository, [...wanted], stamp)
  if (missing.length === 0) return new Set()
  const above = missing.flatMap(ancestorsOf).filter((path) => !isKnown(path) && !wanted.has(path))
  const made = [...missing, ...(await absentAmong(trx, repository, [...new Set(above)], stamp))].sort(comparePaths)
  const ids = await insertNodes(
    trx,
    made.map((path) => folderRow(repository.id, path, stamp.by, stamp.at)),
  )
  const others = made.filter((path) => !ids.has(path))
  // Somebody else made them just now; they are only gone again when somebody deleted them just now, too.
  if ((await absentAmong(trx, repository, others, stamp)).length > 0) throw changedMeanwhile('a folder')
  return new Set(ids.keys())
}

/** Those of the paths where no folder is; the others are kept from being deleted. @throws AppError NODE_CONFLICT for a file. */
async function absentAmong(
  trx: Transaction,
  repository: Target,
  paths: readonly NodePath[],
  stamp: Deletion,
): Promise<NodePath[]> {
  const rows = await lockLive(trx, repository.id, paths)
  const files = [...rows.values()].filter(({ folder }) => !folder)
  const inTheWay = files.find((file) => !isExpired(file, stamp.at))
  if (inTheWay !== undefined) throw fileInTheWay(inTheWay.path)
  await deleteFiles(trx, repository, files, stamp)
  return paths.filter((path) => rows.get(path)?.folder !== true)
}

/** Says why rows did not go in: what stands at their path now. */
async function occupied(
  trx: Transaction,
  repoId: number,
  rows: readonly { readonly path: string }[],
  ids: ReadonlyMap<NodePath, number>,
): Promise<AppError> {
  const paths = rows.map(({ path }) => path as NodePath).filter((path) => !ids.has(path))
  const folder = [...(await liveAt(trx, repoId, paths)).values()].find((row) => row.folder)
  return folder === undefined ? nodeExisted(paths[0], { retryable: true }) : folderInTheWay(folder.path)
}

export const nodeExisted = (path: NodePath | undefined, extra: ErrorExtra = {}): AppError =>
  new AppError('NODE_EXISTED', `Node [${path}] existed`, { path }, extra)
export const folderInTheWay = (path: NodePath): AppError =>
  new AppError('NODE_CONFLICT', `Node [${path}] conflict: a folder is there`, { path })
export const fileInTheWay = (path: NodePath): AppError =>
  new AppError('NODE_CONFLICT', `Node [${path}] conflict: a file is there, where a folder is needed`, { path })
/** Run the transaction again (`settle`): what it had read is no longer so. */
export const changedMeanwhile = (what: string): AppError =>
  new AppError(
    'NODE_EXISTED',
    `Somebody else changed ${what} at the same time, please try again`,
    {},
    { retryable: true },
  )

const lanesOf = (node: NodeRecord | undefined): FileLanes | undefined =>
  node === undefined || node.folder ? undefined : { content: node.contentLanes, metadata: node.metadataLanes }
