import type { ImageBlobs } from '../../artifacts/images/image-blobs.ts'
import { type ContentName, parseContentName } from '../../core/content-name.ts'
import { ociError } from './errors.ts'
import type { Operations } from './operation.ts'

/** What has a digest for a name never changes. */
const FOR_EVER = 'max-age=31536000, immutable'

/** Source: OCI distribution specification 1.1, "Pulling blobs", "Deleting Blobs". */
export function blobOperations(blobs: ImageBlobs): Pick<Operations, 'getBlob' | 'deleteBlob'> {
  return {
    async getBlob({ repository, image, reference }) {
      const name = requireName(reference)
      const { node, digest, sizeBytes } = await blobs.get({ repository, image }, name)
      const headers = {
        'content-type': 'application/octet-stream',
        'docker-content-digest': name,
        'cache-control': FOR_EVER,
      }
      return node === undefined ? { digest, sizeBytes, headers } : { file: node, headers }
    },
    async deleteBlob({ repository, image, reference, userId }) {
      await blobs.remove({ repository, image }, requireName(reference), userId)
      return { status: 202 }
    },
  }
}

/** @throws AppError DIGEST_INVALID. */
export function requireName(text: string | undefined): ContentName {
  const name = parseContentName(text ?? '')
  if (name !== undefined) return name
  const why =
    text === undefined || text === '' ? 'missing' : `invalid: [${text.slice(0, 160)}] is no sha256 or sha512 digest`
  throw ociError('DIGEST_INVALID', `Parameter [digest] is ${why}`)
}
