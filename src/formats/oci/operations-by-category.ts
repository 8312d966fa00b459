import { hasUpstream } from '../../artifacts/proxies/upstream-channel.ts'
import { ociError } from './errors.ts'
import type { ImageRequest, Operation, OperationName, Operations } from './operation.ts'

const READING = ['getManifest', 'getBlob', 'listTags', 'listReferrers'] as const
type Reading = Pick<Operations, (typeof READING)[number]>

/** The specification's endpoints for all categories of repositories. @param own of what is here. */
export function operationsByCategory(own: Operations, fetching: Reading, virtual: Reading): Operations {
  const reading =
    (name: (typeof READING)[number]): Operation =>
    (request) => {
      const { repository } = request
      if (repository.category === 'VIRTUAL') return virtual[name](request)
      return (hasUpstream(repository) ? fetching : own)[name](request)
    }
  const writing =
    (name: OperationName): Operation =>
    async (request) => {
      refusePushes(request, name)
      return own[name](request)
    }
  return {
    getManifest: reading('getManifest'),
    getBlob: reading('getBlob'),
    listTags: reading('listTags'),
    listReferrers: reading('listReferrers'),
    putManifest: writing('putManifest'),
    startUpload: writing('startUpload'),
    uploadStatus: writing('uploadStatus'),
    appendUpload: writing('appendUpload'),
    finishUpload: writing('finishUpload'),
    cancelUpload: writing('cancelUpload'),
    deleteManifest: writing('deleteManifest'),
    deleteBlob: writing('deleteBlob'),
  }
}

/** Deleting from a REMOTE repository makes room: what is asked for again is fetched again. @throws AppError UNSUPPORTED. */
function refusePushes({ repository }: ImageRequest, name: OperationName): void {
  const { project, name: repo, category } = repository
  const isDeletion = name === 'deleteManifest' || name === 'deleteBlob'
  if (category === 'VIRTUAL') {
    throw ociError(
      'UNSUPPORTED',
      `[${project}/${repo}] is VIRTUAL and has no images of its own: use one of its members`,
    )
  }
  if (category === 'REMOTE' && !isDeletion) {
    throw ociError(
      'UNSUPPORTED',
      `[${project}/${repo}] is REMOTE and takes no pushes: its images come from its upstream`,
    )
  }
}
