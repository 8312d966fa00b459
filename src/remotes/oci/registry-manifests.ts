import { hash } from 'node:crypto'
import { algorithmOf, type ContentName, type NamingAlgorithm, parseContentName } from '../../core/content-name.ts'
import { AppError } from '../../core/errors.ts'
import { notTrue, statusOf } from './registry-failure.ts'
import type { RegistrySession } from './registry-session.ts'
import { pullScope, pushScope, repositoryPath } from './repository-path.ts'

export interface ManifestHead {
  readonly mediaType: string
  readonly digest: ContentName
  readonly sizeBytes: number
}
export interface ManifestContent {
  /** Exactly as they came, or are to be stored. */
  readonly bytes: Buffer
  readonly mediaType: string
}
export interface FetchedManifest extends ManifestHead, ManifestContent {}
export interface StoredManifest {
  readonly digest: ContentName
  /** The registry lists it among the referrers of its subject (`OCI-Subject`); undefined: it does not know referrers. */
  readonly subject: ContentName | undefined
}

export interface RegistryManifests {
  /** Undefined: not there. @param reference a tag or a digest. */
  headManifest(repository: string, reference: string, signal: AbortSignal): Promise<ManifestHead | undefined>
  /** Undefined: not there. @throws AppError DIGEST_MISMATCH when the bytes are not what their digest says. */
  getManifest(repository: string, reference: string, signal: AbortSignal): Promise<FetchedManifest | undefined>
  /** @throws AppError DIGEST_MISMATCH when the registry says that it stored something else. */
  putManifest(
    repository: string,
    reference: string,
    manifest: ManifestContent,
    signal: AbortSignal,
  ): Promise<StoredManifest>
  /** @returns false when it was not there. */
  deleteManifest(repository: string, reference: string, signal: AbortSignal): Promise<boolean>
}

/** What every registry must take (distribution specification 1.1, "Pushing Manifests"). */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/

export function createRegistryManifests(session: RegistrySession): RegistryManifests {
  const callTo = (method: 'GET' | 'HEAD' | 'PUT' | 'DELETE', repository: string, reference: string) => ({
    method,
    to: repositoryPath(repository, `manifests/${reference}`),
    what: `${method} of manifest ${reference} in ${repository}`,
    scopes: [
      method === 'PUT' ? pushScope(repository) : method === 'DELETE' ? deleteScope(repository) : pullScope(repository),
    ],
  })

  async function getManifest(
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<FetchedManifest | undefined> {
    const call = { ...callTo('GET', repository, reference), headers: { accept: ACCEPT }, accepts: [200, 404] }
    const { status, headers, body } = await session.send(call, signal)
    if (status === 404) return undefined
    if (body.length > MAX_MANIFEST_BYTES)
      throw notTrue(session.host, call.what, `more than ${MAX_MANIFEST_BYTES} bytes`)
    const mediaType = mediaTypeOf(headers['content-type'])
    if (SCHEMA_1.test(mediaType))
      throw notTrue(session.host, call.what, 'a manifest of schema 1, which is not supported: it cannot be verified')
    const claimed = parseContentName(reference) ?? digestHeader(headers)
    const digest = nameOf(body, claimed === undefined ? 'sha256' : algorithmOf(claimed))
    if (claimed !== undefined && claimed !== digest) throw mismatch(session.host, call.what, claimed, digest)
    return { bytes: body, mediaType, digest, sizeBytes: body.length }
  }

  return {
    getManifest,
    async headManifest(repository, reference, signal) {
      const call = { ...callTo('HEAD', repository, reference), headers: { accept: ACCEPT }, accepts: [200, 404, 405] }
      const { status, headers } = await session.send(call, signal)
      if (status === 404) return undefined
      const digest = digestHeader(headers)
      const sizeBytes = Number(headers['content-length'] ?? Number.NaN)
      if (status === 200 && digest !== undefined && Number.isSafeInteger(sizeBytes)) {
        return { mediaType: mediaTypeOf(headers['content-type']), digest, sizeBytes }
      }
      // Some do not say it there; the manifest itself does.
      return getManifest(repository, reference, signal)
    },
    async putManifest(repository, reference, { bytes, mediaType }, signal) {
      const call = {
        ...callTo('PUT', repository, reference),
        ...{ headers: { 'content-type': mediaType }, body: bytes, accepts: [200, 201, 202, 204] },
      }
      const { headers } = await session.send(call, signal)
      const told = digestHeader(headers)
      const digest = nameOf(bytes, algorithmOf(parseContentName(reference) ?? told ?? nameOf(bytes, 'sha256')))
      if (told !== undefined && told !== nameOf(bytes, algorithmOf(told)))
        throw mismatch(session.host, call.what, digest, told)
      return { digest, subject: parseContentName(String(headers['oci-subject'] ?? '')) }
    },
    async deleteManifest(repository, reference, signal) {
      const call = { ...callTo('DELETE', repository, reference), accepts: [200, 202, 204, 404] }
      return (await session.send(call, signal)).status !== 404
    },
  }
}

const deleteScope = (repository: string): string => `repository:${repository}:delete`

const digestHeader = (headers: Readonly<Record<string, unknown>>): ContentName | undefined =>
  parseContentName(String(headers['docker-content-digest'] ?? '').trim())

const mediaTypeOf = (header: string | undefined): string => (header ?? '').split(';', 1)[0]!.trim().toLowerCase()

const nameOf = (bytes: Buffer, algorithm: NamingAlgorithm): ContentName =>
  `${algorithm}:${hash(algorithm, bytes)}` as ContentName

function mismatch(host: string, what: string, expected: string, found: string): AppError {
  const message = `registry [${host}] answered ${what} with ${found} in place of ${expected}`
  return new AppError('DIGEST_MISMATCH', message, { registry: host, expected, found })
}

/** The registry has no such thing, or not for us. */
export const isAbsent = (error: unknown): boolean => statusOf(error) === 404
