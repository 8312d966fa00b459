import type { ImageBlobs } from '../../artifacts/images/image-blobs.ts'
import type { ImagePlace } from '../../artifacts/images/image-place.ts'
import type { ImageUploads, UploadChunk, UploadProgress } from '../../artifacts/images/image-uploads.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import type { ProtocolReply } from '../protocol.ts'
import { requireName } from './blobs.ts'
import { announcedChunk, receivedRange } from './content-range.ts'
import { parseImageName } from './coordinates.ts'
import { ociError } from './errors.ts'
import type { ImageRequest, Operations } from './operation.ts'

export interface UploadOperationDeps {
  readonly uploads: ImageUploads
  readonly blobs: ImageBlobs
  readonly repositories: Pick<Repositories, 'get'>
}

type UploadOperations = Pick<
  Operations,
  'startUpload' | 'uploadStatus' | 'appendUpload' | 'finishUpload' | 'cancelUpload'
>

/** Source: OCI distribution specification 1.1, "Pushing blobs". */
export function uploadOperations({ uploads, blobs, repositories }: UploadOperationDeps): UploadOperations {
  /** Undefined: the caller may not know of it, or it is not there. */
  async function sourceOf(request: ImageRequest, from: string): Promise<ImagePlace | undefined> {
    const [projectId = '', repoName = '', ...rest] = from.split('/')
    const image = parseImageName(rest.join('/'))
    if (image === undefined || !(await request.authorise('DOWNLOAD', { projectId, repoName, image }))) return undefined
    try {
      return { repository: await repositories.get(projectId, repoName), image }
    } catch (error) {
      if (hasCode(error, 'PROJECT_NOT_FOUND', 'REPOSITORY_NOT_FOUND')) return undefined
      throw error
    }
  }
  async function mount(request: ImageRequest, name: ContentName): Promise<boolean> {
    const { from: named } = request.query
    for (const from of named === undefined || named === '' ? await request.sourcesOf(name) : [named]) {
      const source = await sourceOf(request, from)
      if (source !== undefined && (await blobs.mount(request, name, source))) return true
    }
    return false
  }

  return {
    async startUpload(request) {
      const { query, signal } = request
      if (query.mount !== undefined) {
        const name = requireName(query.mount)
        if (await mount(request, name)) return stored(request, name)
      }
      if (query.digest === undefined) return open(request, uploads.begin(request))
      const name = requireName(query.digest)
      const chunk = chunkOf(request)
      await withRefusals(request, () => uploads.push(request, name, chunk, signal))
      return stored(request, name)
    },
    async uploadStatus(request) {
      const progress = await uploads.status(request, request.reference, request.signal)
      return { ...open(request, progress), status: 204 }
    },
    async appendUpload(request) {
      const { reference, signal } = request
      const chunk = chunkOf(request)
      return open(request, await withRefusals(request, () => uploads.append(request, reference, chunk, signal)))
    },
    async finishUpload(request) {
      const { reference, query, signal } = request
      const name = requireName(query.digest)
      const chunk = chunkOf(request)
      await withRefusals(request, () => uploads.finish(request, reference, name, chunk, signal))
      return stored(request, name)
    },
    async cancelUpload(request) {
      await uploads.cancel(request, request.reference, request.signal)
      return { status: 204 }
    },
  }
}

const chunkOf = ({ headers, openBody }: ImageRequest): UploadChunk => ({ ...announcedChunk(headers), openBody })

const uploadUrl = (base: string, id: string): string => `${base}/blobs/uploads/${id}`

const open = ({ base }: ImageRequest, { id, pushId, length }: UploadProgress): ProtocolReply => ({
  status: 202,
  headers: { location: uploadUrl(base, id), range: receivedRange(length), 'docker-upload-uuid': pushId },
})

const stored = ({ base }: ImageRequest, name: ContentName): ProtocolReply => ({
  status: 201,
  headers: { location: `${base}/blobs/${name}`, 'docker-content-digest': name },
})

/** What the specification has an answer of its own for. */
async function withRefusals<T>({ base, reference }: ImageRequest, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (hasCode(error, 'RANGE_INVALID')) {
      const length = Number(error.detail.length)
      const headers = { location: uploadUrl(base, reference), range: receivedRange(length) }
      throw ociError('BLOB_UPLOAD_INVALID', error.message, { length }, { status: 416, headers })
    }
    if (hasCode(error, 'ARTIFACT_BROKEN')) throw ociError('SIZE_INVALID', error.message)
    if (hasCode(error, 'UPLOAD_INCONSISTENT')) {
      throw ociError('BLOB_UPLOAD_INVALID', error.message, undefined, { status: 409 })
    }
    throw error
  }
}
