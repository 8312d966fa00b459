import type { Readable } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import { AppError, hasCode } from '../core/errors.ts'
import type { NodePath } from '../core/paths.ts'
import { ROOT } from '../core/paths.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { findServed, type NodeRecord } from '../metadata/nodes.ts'
import type { BlobStore, ByteRange } from '../storage/blob-store.ts'
import type { AccessTimes } from './access-times.ts'
import { exactLength } from './exact-length.ts'
import { nodeNotFound } from './nodes.ts'
import type { Repositories } from './repositories.ts'

export interface Downloads {
  /**
   * The file at a path, by the names of the URL: one query.
   * @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND, NODE_NOT_FOUND, FOLDER_DOWNLOAD_DISABLED.
   */
  get(project: string, repo: string, path: NodePath): Promise<NodeRecord>
  /** The caller consumes or destroys the stream. @throws AppError CONTENT_MISSING: the node is there, its bytes are not. */
  open(file: NodeRecord, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>
  /** What `open` would find, for answers without a body. @throws AppError CONTENT_MISSING. */
  check(file: NodeRecord, signal: AbortSignal): Promise<void>
}

interface DownloadDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly repositories: Pick<Repositories, 'get'>
  readonly accessTimes: Pick<AccessTimes, 'note'>
  /** An acknowledged file lost its bytes: somebody has to look. */
  readonly onContentMissing: (file: NodeRecord) => void
}

export function createDownloads(deps: DownloadDeps): Downloads {
  const { db, blobs, clock, repositories, accessTimes, onContentMissing } = deps
  const missing = (file: NodeRecord): AppError => {
    onContentMissing(file)
    return new AppError('CONTENT_MISSING', `The content of node [${file.path}] is missing`, { path: file.path })
  }
  return {
    async get(project, repo, path) {
      const { repoId, node } = await findServed(db.read, project, repo, path, clock.now())
      // Which of the two names is unknown takes a second look, which only the failure pays for.
      if (repoId === undefined) await repositories.get(project, repo)
      if (path === ROOT || node?.folder) {
        throw new AppError('FOLDER_DOWNLOAD_DISABLED', `Node [${path}] is a folder, which cannot be downloaded`, {
          path,
        })
      }
      if (node === undefined) throw nodeNotFound(path)
      return node
    },
    async open(file, range, signal) {
      try {
        const body = await blobs.open(file.digest!, range, signal)
        accessTimes.note(file)
        return exactLength(body, range === undefined ? file.sizeBytes : (range.end ?? file.sizeBytes) - range.start)
      } catch (error) {
        throw hasCode(error, 'BLOB_UNKNOWN') ? missing(file) : error
      }
    },
    async check(file, signal) {
      if ((await blobs.find(file.digest!, signal)) === undefined) throw missing(file)
    },
  }
}
