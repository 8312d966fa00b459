import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { HLC_ZERO, type HlcClock } from '../../core/hlc.ts'
import { NO_LANES } from '../../core/lanes.ts'
import { checkMetadata, type Metadata, mergeMetadata } from '../../core/metadata.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { type NodePath, ROOT } from '../../core/paths.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import {
  findNode,
  isExpired,
  listExpired,
  type NodeListing,
  type NodeRecord,
  pageNodes,
  sizeBelow,
} from '../../metadata/nodes/nodes.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { holdRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import { untilCommit } from '../../metadata/sql/until-commit.ts'
import { requireOwnFiles, requireUploads } from '../repositories/repository-uploads.ts'
import { deleteFiles, fileInTheWay, lockLive, putFolders, putMetadata } from './node-writer.ts'
import { settle, stampAbove } from './settle.ts'
import { refuseSystemKeys, type Verdict, verdictEntries } from './system-metadata.ts'

export type { NodeListing, NodeOrder, NodeRecord, NodeSortKey } from '../../metadata/nodes/nodes.ts'

/** Files and folders as users see them: an expired one is not there. The root is a folder without a row. */
export interface Nodes {
  find(repository: Repository, path: NodePath): Promise<NodeRecord | undefined>
  /** @throws AppError NODE_NOT_FOUND. */
  get(repository: Repository, path: NodePath): Promise<NodeRecord>
  /** What lies in a folder. @throws AppError NODE_NOT_FOUND, NODE_CONFLICT for a file. */
  page(repository: Repository, path: NodePath, listing: NodeListing, page: PageRequest): Promise<Page<NodeRecord>>
  /** Nodes below (0 for a file) and bytes. @throws AppError NODE_NOT_FOUND. */
  size(repository: Repository, path: NodePath): Promise<{ readonly nodes: number; readonly bytes: number }>
  /** With its parents; a folder that is there is fine. @throws AppError NODE_CONFLICT for a file in the way. */
  makeFolder(repository: Repository, path: NodePath, by: string): Promise<NodeRecord>
  /** Entries replace those of the same key. @throws AppError NODE_NOT_FOUND, METADATA_INVALID. */
  saveMetadata(repository: Repository, path: NodePath, changes: Metadata, by: string): Promise<void>
  /** Forbids the download of a file, or allows it again. @throws AppError NODE_NOT_FOUND, PARAMETER_INVALID for a folder. */
  judge(repository: Repository, path: NodePath, verdict: Verdict): Promise<void>
  /** Keys that are not there are fine. @throws AppError NODE_NOT_FOUND, METADATA_INVALID for a key of the system. */
  deleteMetadata(repository: Repository, path: NodePath, keys: readonly string[], by: string): Promise<void>
  /** Deletes files whose time is over, which nobody saw any more, in all repositories. @returns how many. */
  deleteExpired(signal: AbortSignal): Promise<number>
}

/** Of metadata; rows with more are read anew each time. */
const MOST_KEPT_ENTRIES = 16

interface NodeDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
}

export function createNodes({ db, clock, hlc }: NodeDeps): Nodes {
  const nodeNow = untilCommit(
    db,
    (repoId, path) => findNode(db.read, Number(repoId), path as NodePath, clock.now()),
    (node) => node === undefined || node.metadata.length <= MOST_KEPT_ENTRIES,
  )
  async function find(reader: Reader, repository: Repository, path: NodePath): Promise<NodeRecord | undefined> {
    if (path === ROOT) return rootOf(repository)
    if (reader !== db.read) return findNode(reader, repository.id, path, clock.now())
    const node = await nodeNow(String(repository.id), path)
    return node === undefined || isExpired(node, clock.now()) ? undefined : node
  }
  async function get(reader: Reader, repository: Repository, path: NodePath): Promise<NodeRecord> {
    const node = await find(reader, repository, path)
    if (node === undefined) throw nodeNotFound(path)
    return node
  }

  /** One attempt is one transaction, of which `change` makes the new entries from the old. */
  async function changeMetadata(
    repository: Repository,
    path: NodePath,
    change: (base: Metadata, node: NodeRecord) => Metadata,
    by: string,
  ): Promise<void> {
    requireOwnFiles(repository)
    if (path === ROOT) throw invalid('fullPath', 'the root has no metadata')
    await settle(() =>
      db.transact(async (trx) => {
        const now = clock.now()
        const node = (await lockTreeRows(trx, repository.id, [path])).get(path)
        if (node === undefined || isExpired(node, now)) throw nodeNotFound(path)
        const metadata = checkMetadata(change(node.metadata, node))
        const stamp = { hlc: stampAbove(hlc, node.hlc), origin: 0, viaLink: undefined, viaMark: undefined }
        await putMetadata(trx, repository, [{ node, metadata, modifiedBy: by, modifiedAt: now, ...stamp }], now)
      }),
    )
  }

  /** A file that was overwritten or given more time since it was listed stays. */
  async function deleteExpiredIn(repoId: number, paths: readonly NodePath[]): Promise<number> {
    return db.transact(async (trx) => {
      // A repository that was deleted since goes as a whole (`repository-retirement.ts`).
      if ((await holdRepository(trx, repoId)) === undefined) return 0
      const at = clock.now()
      const rows = await lockLive(trx, repoId, paths)
      const expired = [...rows.values()].filter((node) => isExpired(node, at))
      for (const node of expired) hlc.observe(node.hlc)
      await deleteFiles(trx, { id: repoId }, expired, { by: SYSTEM, at, hlc: hlc.next(), origin: 0, viaLink: null })
      return expired.length
    })
  }

  return {
    find: (repository, path) => find(db.read, repository, path),
    get: (repository, path) => get(db.read, repository, path),
    async page(repository, path, listing, page) {
      const node = await get(db.read, repository, path)
      if (!node.folder)
        throw new AppError('NODE_CONFLICT', `Node [${path}] conflict: it is a file, not a folder`, { path })
      return pageNodes(db.read, repository.id, path, listing, page, clock.now())
    },
    async size(repository, path) {
      const node = await get(db.read, repository, path)
      if (!node.folder) return { nodes: 0, bytes: node.sizeBytes }
      return sizeBelow(db.read, repository.id, path, clock.now())
    },
    async makeFolder(repository, path, by) {
      requireUploads(repository)
      if (path === ROOT) return rootOf(repository)
      return settle(() =>
        db.transact(async (trx) => {
          const now = clock.now()
          await putFolders(trx, repository, [path], by, now, hlc.next())
          const node = await get(trx, repository, path)
          if (!node.folder) throw fileInTheWay(path)
          return node
        }),
      )
    },
    saveMetadata: (repository, path, changes, by) =>
      changeMetadata(
        repository,
        path,
        (base) => {
          refuseSystemKeys(
            changes.map(({ key }) => key),
            base,
          )
          return mergeMetadata(base, changes)
        },
        by,
      ),
    judge: (repository, path, verdict) =>
      changeMetadata(
        repository,
        path,
        (base, { folder }) => {
          if (folder) throw invalid('fullPath', 'only files are forbidden')
          return mergeMetadata(base, verdictEntries(verdict))
        },
        verdict.by,
      ),
    deleteMetadata: (repository, path, keys, by) =>
      changeMetadata(
        repository,
        path,
        (base) => {
          refuseSystemKeys(keys, base)
          return base.filter(({ key }) => !keys.includes(key))
        },
        by,
      ),
    async deleteExpired(signal) {
      let deleted = 0
      while (!signal.aborted) {
        const expired = await listExpired(db.read, clock.now(), FILES_PER_SWEEP)
        const byRepository = Map.groupBy(expired, ({ repoId }) => repoId)
        for (const [repoId, files] of byRepository) {
          deleted += await deleteExpiredIn(
            repoId,
            files.map(({ path }) => path),
          )
        }
        if (expired.length < FILES_PER_SWEEP) break
      }
      return deleted
    },
  }
}

/** Who deletes what expired. */
const SYSTEM = 'system'
const FILES_PER_SWEEP = 500

export const nodeNotFound = (path: NodePath): AppError =>
  new AppError('NODE_NOT_FOUND', `Node [${path}] not found`, { path })

export function rootOf(repository: Repository): NodeRecord {
  const { id, createdBy, createdAt, modifiedBy, modifiedAt } = repository
  return {
    id: 0,
    repoId: id,
    path: ROOT,
    folder: true,
    digest: undefined,
    md5: null,
    crc64: null,
    sizeBytes: 0,
    metadata: [],
    origin: 0,
    hlc: HLC_ZERO,
    viaLink: null,
    viaMark: null,
    contentLanes: NO_LANES,
    metadataLanes: NO_LANES,
    expiresAt: null,
    createdBy,
    createdAt,
    modifiedBy,
    modifiedAt,
    accessedAt: null,
  }
}
