import { cacheRuleOf } from '../../artifacts/proxies/upstream-channel.ts'
import { parseContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { requireName } from './blobs.ts'
import { digestInvalid, parseReference } from './coordinates.ts'
import { ociError } from './errors.ts'
import type { FetchedBlobs } from './fetched-blobs.ts'
import type { FetchedListings } from './fetched-listings.ts'
import type { Brought, FetchedManifests } from './fetched-manifests.ts'
import { answerReferrers, answerTags, tagNamesIn } from './merged-lists.ts'
import type { ImageReply, ImageRequest, Operation, Operations } from './operation.ts'
import { refuseCircle, toldToClient } from './upstream-questions.ts'

export interface FetchingDeps {
  /** Of what is here. */
  readonly own: Operations
  readonly manifests: FetchedManifests
  readonly blobs: FetchedBlobs
  readonly listings: FetchedListings
  /** This server in `Via`. */
  readonly name: string
}

type Reading = Pick<Operations, 'getManifest' | 'getBlob' | 'listTags' | 'listReferrers'>

/** What REMOTE repositories, and COMPOSITE ones with channels, have beyond what is stored (docs/design/images.md, "From other registries"). */
export function fetchingOperations({ own, manifests, blobs, listings, name }: FetchingDeps): Reading {
  const asking =
    (operation: Operation): Operation =>
    async (request) => {
      refuseCircle(request.headers.via, name)
      try {
        return await operation(request)
      } catch (error) {
        throw toldToClient(error, request.repository)
      }
    }

  async function getBlob(request: ImageRequest): Promise<ImageReply> {
    const { repository, reference, signal, method } = request
    const blob = requireName(reference)
    const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': blob }
    if (cacheRuleOf(repository).keeps === 'always') {
      const stored = await unlessUnknown(() => own.getBlob(request))
      if (stored !== undefined) return withHeaders(stored, STATUS.hit)
    }
    if (method === 'HEAD') {
      const announced = await blobs.announce(request, blob, signal)
      if (announced === undefined) throw unknown(blob)
      const { sizeBytes } = announced
      const length = sizeBytes === undefined ? {} : { 'content-length': String(sizeBytes) }
      return { status: 200, headers: { ...headers, ...length } }
    }
    const brought = await blobs.bring(request, blob, signal)
    switch (brought.how) {
      case 'stored':
        return withHeaders(await own.getBlob(request), STATUS.hit)
      case 'arriving':
        return { arrival: brought.arrival, headers: { ...headers, ...STATUS.fetched } }
      case 'passing': {
        const { stream, sizeBytes } = brought.blob
        return { passing: stream, sizeBytes, headers: { ...headers, ...STATUS.passed } }
      }
      default:
        throw unknown(blob)
    }
  }

  async function getManifest(request: ImageRequest): Promise<ImageReply> {
    const reference = parseReference(request.reference)
    if (reference === undefined) return own.getManifest(request)
    const brought = await manifests.bring(request, reference, request.signal)
    if (brought.how === 'passed') {
      const { bytes, mediaType, digest } = brought.manifest
      return {
        status: 200,
        headers: { 'content-type': mediaType, 'docker-content-digest': digest, ...STATUS.passed },
        body: bytes,
      }
    }
    // What no upstream has may be a list of referrers, which is made here.
    return withHeaders(await own.getManifest(request), STATUS[brought.how])
  }

  async function listTags(request: ImageRequest): Promise<ImageReply> {
    const here = await tagNamesIn(own.listTags, request)
    let there: readonly string[] | undefined
    try {
      there = await listings.tags(request, request.signal)
    } catch (error) {
      if (!hasCode(error, 'UPSTREAM_FAILED') || here === undefined) throw error
    }
    return answerTags(
      request,
      here === undefined && there === undefined ? undefined : [...(here ?? []), ...(there ?? [])],
    )
  }

  async function listReferrers(request: ImageRequest): Promise<ImageReply> {
    const subject = parseContentName(request.reference)
    if (subject === undefined) throw digestInvalid(request.reference)
    const artifactType = request.query.artifactType || undefined
    try {
      const there = await listings.referrers(request, subject, artifactType, request.signal)
      if (there !== undefined) return answerReferrers(request, subject, artifactType, there)
    } catch (error) {
      if (!hasCode(error, 'UPSTREAM_FAILED')) throw error
    }
    return own.listReferrers(request)
  }

  return {
    getManifest: asking(getManifest),
    getBlob: asking(getBlob),
    listTags: asking(listTags),
    listReferrers: asking(listReferrers),
  }
}

/** RFC 9211. */
const STATUS: Readonly<Record<Brought['how'], Readonly<Record<string, string>>>> = {
  hit: { 'cache-status': 'Entrepot; hit' },
  renewed: { 'cache-status': 'Entrepot; hit; fwd=stale; fwd-status=304' },
  stale: { 'cache-status': 'Entrepot; hit; fwd=stale; detail=upstream-gave-no-answer' },
  fetched: { 'cache-status': 'Entrepot; fwd=miss; stored' },
  passed: { 'cache-status': 'Entrepot; fwd=miss' },
  absent: {},
}

const withHeaders = (reply: ImageReply, more: Readonly<Record<string, string>>): ImageReply => ({
  ...reply,
  headers: { ...reply.headers, ...more },
})

async function unlessUnknown(work: () => Promise<ImageReply>): Promise<ImageReply | undefined> {
  try {
    return await work()
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
    throw error
  }
}

const unknown = (blob: string) =>
  ociError('BLOB_UNKNOWN', `Blob [${blob}] is not in this image, and the registry that it comes from has none`, {
    digest: blob,
  })
