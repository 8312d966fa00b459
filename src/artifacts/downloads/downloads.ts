import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { ROOT } from '../../core/paths.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findServed, isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { untilCommit } from '../../metadata/sql/until-commit.ts'
import type { BlobStore, ByteRange } from '../../storage/blob-store.ts'
import type { SmallBlobs } from '../../storage/small-blobs.ts'
import type { AccessTimes } from '../nodes/access-times.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { allowed } from '../nodes/system-metadata.ts'
import type { Proxies, Supply } from '../proxies/proxies.ts'
import type { UpstreamFile } from '../proxies/upstream-answer.ts'
import { cacheRuleOf, fetches } from '../proxies/upstream-channel.ts'
import type { Repositories } from '../repositories/repositories.ts'
import type { Asker } from '../views/asker.ts'
import type { AskMember, VirtualDownloads } from '../views/virtual-downloads.ts'
import { createContentReads, type FileBody } from './content-reads.ts'
import { folderDownload } from './folder-download.ts'

export interface Downloads {
  /**
   * The file at a path, by the names of the URL: one query when it is here. What has to be fetched may be read while it comes.
   * @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND, NODE_NOT_FOUND, FOLDER_DOWNLOAD_DISABLED, ARTIFACT_FORBIDDEN,
   * UPSTREAM_FAILED.
   */
  supply(project: string, repo: string, path: NodePath, asker: Asker, signal: AbortSignal): Promise<Supply>
  /** As `supply`, for an answer without the file: nothing is fetched that is not here. */
  announce(project: string, repo: string, path: NodePath, asker: Asker, signal: AbortSignal): Promise<Announced>
  /**
   * As `supply`, but what has to be fetched is here when it resolves.
   * @throws AppError also METHOD_NOT_ALLOWED: the repository keeps nothing of what it fetches.
   */
  get(project: string, repo: string, path: NodePath, asker: Asker, signal: AbortSignal): Promise<NodeRecord>
  /** The caller consumes or destroys a stream. @throws AppError CONTENT_MISSING: the node is there, its bytes are not. */
  open(file: NodeRecord, range: ByteRange | undefined, signal: AbortSignal): Promise<FileBody>
  /** What `open` would find, for answers without a body. @throws AppError CONTENT_MISSING. */
  check(file: NodeRecord, signal: AbortSignal): Promise<void>
}

export type Announced =
  | Extract<Supply, { readonly kind: 'stored' }>
  | { readonly kind: 'announced'; readonly file: Pick<UpstreamFile, 'sizeBytes' | 'digest'> }

/** Of metadata; rows with more are read anew each time. */
const MOST_KEPT_ENTRIES = 16

interface DownloadDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly smallBlobs: SmallBlobs
  readonly clock: Clock
  readonly repositories: Pick<Repositories, 'get'>
  readonly accessTimes: Pick<AccessTimes, 'note'>
  readonly proxies: Pick<Proxies, 'supply' | 'announce'>
  readonly virtuals: VirtualDownloads
  /** An acknowledged file lost its bytes: somebody has to look. */
  readonly onContentMissing: (file: NodeRecord) => void
  /** What the store holds is not what was acknowledged. */
  readonly onContentDamaged: (file: NodeRecord) => void
}

export function createDownloads(deps: DownloadDeps): Downloads {
  const { db, blobs, clock, repositories, accessTimes, proxies, virtuals, onContentMissing } = deps
  const contents = createContentReads(deps)
  const servedNow = untilCommit(
    db,
    (project, repo, path) => findServed(db.read, project!, repo!, path as NodePath, clock.now()),
    ({ node }) => node === undefined || node.metadata.length <= MOST_KEPT_ENTRIES,
  )
  const missing = (file: NodeRecord): AppError => {
    onContentMissing(file)
    return new AppError('CONTENT_MISSING', `The content of node [${file.path}] is missing`, { path: file.path })
  }
  /** `fetched`: how to ask a repository that fetches. */
  async function locate<T>(
    project: string,
    repo: string,
    path: NodePath,
    asker: Asker,
    fetched: AskMember<T>,
  ): Promise<T | Kept> {
    const { repoId, category, node: found } = await servedNow(project, repo, path)
    const node = found !== undefined && isExpired(found, clock.now()) ? undefined : found
    // Which of the two names is unknown takes a second look, which only the failure pays for.
    if (repoId === undefined) await repositories.get(project, repo)
    if (path === ROOT || node?.folder) throw folderDownload(path)
    if (node !== undefined) allowed(node)
    const ownFiles = category === 'LOCAL' || category === 'COMPOSITE'
    if (node !== undefined && ownFiles) return keptFile(node)
    if (category === 'LOCAL') throw nodeNotFound(path)
    const repository = await repositories.get(project, repo)
    if (category === 'VIRTUAL') {
      const ask: AskMember<T> = (member, stored) => fetched(member, stored && allowed(stored))
      return virtuals.find<T | Kept>(repository, path, asker, (file) => keptFile(allowed(file)), ask)
    }
    if (!fetches(repository)) {
      if (node !== undefined) return keptFile(node)
      throw nodeNotFound(path)
    }
    return fetched(repository, node)
  }

  const downloads: Downloads = {
    supply: (project, repo, path, asker, signal) =>
      locate<Supply>(project, repo, path, asker, (repository, stored) =>
        proxies.supply(repository, path, stored, asker.via, signal),
      ),
    announce: (project, repo, path, asker, signal) =>
      locate<Announced>(project, repo, path, asker, async (repository, stored) => {
        if (stored === undefined || cacheRuleOf(repository).keeps === 'never')
          return { kind: 'announced', file: await proxies.announce(repository, path, asker.via, signal) }
        const supply = await proxies.supply(repository, path, stored, asker.via, signal)
        if (supply.kind === 'stored') return supply
        return { kind: 'announced', file: supply.kind === 'arriving' ? supply.arrival : supply.file }
      }),
    async get(project, repo, path, asker, signal) {
      const supply = await downloads.supply(project, repo, path, asker, signal)
      if (supply.kind === 'stored') return supply.file
      if (supply.kind === 'arriving') return unlessAborted(supply.arrival.stored, signal)
      supply.body.on('error', () => {}).destroy()
      throw new AppError(
        'METHOD_NOT_ALLOWED',
        `Method not allowed: [${project}/${repo}] keeps nothing of what it fetches`,
      )
    },
    async open(file, range, signal) {
      const { digest, sizeBytes } = allowed(file)
      try {
        const body = await contents.open({ digest: digest!, sizeBytes }, range, signal)
        accessTimes.note(file)
        return body
      } catch (error) {
        if (hasCode(error, 'DIGEST_MISMATCH')) deps.onContentDamaged(file)
        throw hasCode(error, 'BLOB_UNKNOWN', 'DIGEST_MISMATCH') ? missing(file) : error
      }
    },
    async check(file, signal) {
      if ((await blobs.find(allowed(file).digest!, signal)) === undefined) throw missing(file)
    },
  }
  return downloads
}

type Kept = Extract<Supply, { readonly kind: 'stored' }>
const keptFile = (file: NodeRecord): Kept => ({ kind: 'stored', file: allowed(file), how: 'kept' })
