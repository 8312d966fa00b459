import { hash } from 'node:crypto'
import type { PackageDeletion } from '../../artifacts/packages/package-deletion.ts'
import { algorithmOf, type ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { leftOutOf } from '../../metadata/packages/left-out-manifests.ts'
import { parseReference, type Reference } from './coordinates.ts'
import { ociError } from './errors.ts'
import { parseManifest } from './manifest.ts'
import { readManifestBody } from './manifest-body.ts'
import { type PublicationDeps, publishManifest } from './manifest-publication.ts'
import { keyOf, type StoredManifest } from './manifest-store.ts'
import { bareType, isSchema1 } from './media-types.ts'
import type { ImageFileReply, ImageReply, ImageRequest, Operations } from './operation.ts'
import { fallbackIndex } from './referrers.ts'

export interface ManifestDeps extends PublicationDeps {
  readonly deletion: Pick<PackageDeletion, 'untag' | 'deleteDigest'>
}

interface ManifestHeaders extends Readonly<Record<string, string>> {
  readonly 'docker-content-digest': string
}

/** Manifests: "Pull", "Push" and "Content Management" of the specification. */
export function manifestOperations(
  deps: ManifestDeps,
): Pick<Operations, 'getManifest' | 'putManifest' | 'deleteManifest'> {
  const { manifests, deletion } = deps

  const served = new WeakMap<StoredManifest, ImageFileReply & { readonly headers: ManifestHeaders }>()

  async function serve(request: ImageRequest, stored: StoredManifest, name: string): Promise<ImageReply> {
    const mediaType = await manifests.mediaTypeOf(stored, request.signal)
    refuseSchema1Only(request.headers.accept, mediaType)
    const known = served.get(stored)
    if (known?.headers['docker-content-digest'] === name) return known
    const headers = { 'content-type': mediaType, 'docker-content-digest': name }
    const reply = {
      file: stored.node,
      ...(stored.versionId === undefined ? {} : { countsFor: stored.versionId }),
      headers,
    }
    served.set(stored, reply)
    return reply
  }

  return {
    async getManifest(request) {
      const reference = referenceIn(request) ?? absent(request)
      const stored = await manifests.find(request, reference)
      if (stored !== undefined) {
        return serve(request, stored, reference.kind === 'tag' ? stored.node.digest : reference.name)
      }
      const index = reference.kind === 'tag' ? await fallbackIndex(deps, request, reference.tag) : undefined
      if (index !== undefined) return index
      if (reference.kind === 'digest') await refuseLeftOut(deps, request, reference.name)
      return absent(request)
    },
    async putManifest(request) {
      const reference = referenceIn(request)
      if (reference === undefined) {
        const what = `[${request.reference.slice(0, 160)}] is neither a tag (up to 128 letters, digits, _ . -) nor a digest`
        throw ociError('MANIFEST_INVALID', what, { reference: request.reference.slice(0, 160) })
      }
      const bytes = await readManifestBody(request)
      const manifest = parseManifest(bytes, request.headers['content-type'])
      const name = nameOf(bytes, reference)
      const version = reference.kind === 'tag' ? reference.tag : reference.name
      await publishManifest(deps, request, { version, name, manifest, bytes }, { by: request.userId }, request.signal)
      return {
        status: 201,
        headers: {
          location: `${request.base}/manifests/${name}`,
          'docker-content-digest': name,
          ...(manifest.subject === undefined ? {} : { 'oci-subject': manifest.subject.digest }),
        },
      }
    },
    async deleteManifest(request) {
      const { repository, userId } = request
      const reference = referenceIn(request) ?? absent(request)
      const key = keyOf(request)
      try {
        if (reference.kind === 'tag') await deletion.untag(repository, key, reference.tag, userId)
        else await deletion.deleteDigest(repository, key, reference.name, userId)
      } catch (error) {
        if (!hasCode(error, 'VERSION_NOT_FOUND', 'PACKAGE_NOT_FOUND') || reference.kind === 'tag') throw error
        if ((await manifests.find(request, reference)) === undefined) return absent(request)
        throw ociError('UNSUPPORTED', `[${reference.name}] cannot be deleted: an index names it; delete that one first`)
      }
      return { status: 202 }
    },
  }
}

/** @throws AppError DIGEST_INVALID. */
function referenceIn({ reference }: ImageRequest): Reference | undefined {
  return parseReference(reference)
}
/** @throws AppError MANIFEST_UNKNOWN. */
function absent({ image, reference }: ImageRequest): never {
  const named = reference.slice(0, 160)
  throw ociError('MANIFEST_UNKNOWN', `Image [${image}] has no manifest [${named}]`, { name: image, reference: named })
}

/** @throws AppError MANIFEST_UNKNOWN for a manifest that replication did not bring along with its index. */
async function refuseLeftOut(
  { db }: Pick<ManifestDeps, 'db'>,
  request: ImageRequest,
  name: ContentName,
): Promise<void> {
  const index = await leftOutOf(db.read, request.repository.id, keyOf(request), name)
  if (index === undefined) return
  const why = `[${name}] was left out when index [${index}] was replicated to here: the task is about other platforms`
  throw ociError('MANIFEST_UNKNOWN', why, { name: request.image, reference: name, index })
}

/** @throws AppError DIGEST_INVALID. */
function nameOf(bytes: Buffer, reference: Reference): ContentName {
  const algorithm = reference.kind === 'tag' ? 'sha256' : algorithmOf(reference.name)
  const name = `${algorithm}:${hash(algorithm, bytes)}` as ContentName
  if (reference.kind === 'tag' || reference.name === name) return name
  const message = `The digest is [${reference.name}], but the ${bytes.length} bytes that came have [${name}]`
  throw ociError('DIGEST_INVALID', message, { digest: reference.name, actual: name })
}

/** Nothing is converted; a client that knows only schema 1 is told so. */
function refuseSchema1Only(accept: string | undefined, mediaType: string): void {
  if (accept === undefined || !/manifest\.v1/i.test(accept)) return
  const types = accept
    .split(',')
    .map(bareType)
    .filter((type) => type !== '')
  if (types.length === 0 || !types.every(isSchema1)) return
  const message = `The manifest is [${mediaType}], and the request accepts schema 1 only, which is not supported`
  throw ociError('MANIFEST_UNKNOWN', message, { mediaType })
}
