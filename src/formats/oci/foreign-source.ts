import { hash } from 'node:crypto'
import type { ImageArrivals } from '../../artifacts/images/image-arrivals.ts'
import { findImageBlobs } from '../../artifacts/images/image-blobs.ts'
import type { Packages } from '../../artifacts/packages/packages.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { createRegistryClient, type RegistryClient } from '../../remotes/oci/registry-client.ts'
import { statusOf } from '../../remotes/oci/registry-failure.ts'
import type { FetchedManifest } from '../../remotes/oci/registry-manifests.ts'
import type { BroughtVersion, ForeignDeps, ForeignPullOptions, ForeignSource, ForeignSources } from '../foreign.ts'
import { type ImageName, parseImageName } from './coordinates.ts'
import { type Descriptor, manifestInvalid } from './descriptor.ts'
import { type Manifest, mayBeElsewhere, parseManifest } from './manifest.ts'
import { type PublicationDeps, publishManifest } from './manifest-publication.ts'
import { keyOf, type Place } from './manifest-store.ts'
import { kindOf } from './media-types.ts'

export interface OciSourceDeps extends ForeignDeps, PublicationDeps {
  readonly clock: ForeignDeps['clock']
  readonly packages: Pick<Packages, 'getVersion'>
  readonly arrivals: ImageArrivals
}

/** Of one manifest. Several versions are brought at once. */
const BLOBS_AT_ONCE = 4
const CHILDREN_AT_ONCE = 4
/** Of indexes in an index, and of what is about what is about a manifest. */
const MAX_DEPTH = 8
/** Of one manifest; who has more is not believed. */
const MOST_REFERRERS = 5_000
/** Of a registry without the referrers API: what it lists comes along with its subject, and we have the API. */
const STAND_IN = /^sha(?:256|512)-[0-9a-f]{64,128}$/

/** Images from registries of others, with the children of their indexes and what is about them. */
export const ociForeignSources = (deps: OciSourceDeps): ForeignSources => ({
  connect: (address) => createOciSource(createRegistryClient(address, deps), deps),
})

interface Bringing {
  readonly place: Place
  readonly options: ForeignPullOptions
  readonly signal: AbortSignal
  fetchedBlobs: number
  /** Something of it was not here. */
  changed: boolean
}

export function createOciSource(client: RegistryClient, deps: OciSourceDeps): ForeignSource {
  const { db, clock, manifests, arrivals } = deps
  /** Contents on their way: whoever needs one meanwhile waits for the same, and then has it without its bytes. */
  const coming = new Map<string, Promise<void>>()

  async function alone(key: string, work: () => Promise<void>): Promise<void> {
    for (;;) {
      const other = coming.get(key)
      if (other === undefined) break
      // Whether it came is seen anew.
      await other.catch(() => undefined)
    }
    const own = work().finally(() => coming.delete(key))
    coming.set(key, own)
    return own
  }

  async function isHere({ place }: Bringing, name: ContentName): Promise<boolean> {
    const { repository, image } = place
    return (await findImageBlobs(db.read, repository.id, image, [name], clock.now())).has(name)
  }

  const bringBlob = (on: Bringing, { digest: name }: Descriptor, signal: AbortSignal): Promise<void> =>
    alone(name, async () => {
      if (await isHere(on, name)) return
      on.changed = true
      const from = client.repositoryOf(on.place.image)
      const order = { place: on.place, name, from: client.url }
      if ((await arrivals.isHere(order)) && (await client.hasBlob(from, name, signal))) {
        if ((await arrivals.adopt(order)) !== undefined) return
      }
      const blob = await client.getBlob(from, name, { onBytes: on.options.onBytes }, signal)
      if (blob === undefined) throw manifestInvalid(`the registry does not have the blob [${name}] that it names`)
      await arrivals.store(order, blob, signal).stored
      on.fetchedBlobs++
    })

  /** All that a manifest names. */
  async function bringNamed(on: Bringing, manifest: Manifest, depth: number, signal: AbortSignal): Promise<void> {
    if (depth > MAX_DEPTH) throw manifestInvalid(`its indexes are nested more than ${MAX_DEPTH} deep`)
    const { config, layers, manifests: named } = manifest
    const leaves = [...layers, ...(config === undefined ? [] : [config])].filter((one) => !mayBeElsewhere(one))
    const blobs = [...leaves, ...named.filter(({ mediaType }) => kindOf(mediaType) === undefined)]
    const children = named.filter(({ mediaType }) => kindOf(mediaType) !== undefined)
    await mapConcurrent(
      children,
      CHILDREN_AT_ONCE,
      (child, stop) => bringByDigest(on, child.digest, depth + 1, stop),
      signal,
    )
    const once = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
    await mapConcurrent(once, BLOBS_AT_ONCE, (blob, stop) => bringBlob(on, blob, stop), signal)
  }

  const bringByDigest = (on: Bringing, name: ContentName, depth: number, signal: AbortSignal): Promise<void> =>
    alone(`${on.place.image}@${name}`, async () => {
      if ((await manifests.find(on.place, { kind: 'digest', name })) !== undefined) return
      on.changed = true
      const found = await client.getManifest(client.repositoryOf(on.place.image), name, signal)
      if (found === undefined) throw manifestInvalid(`the registry does not have the manifest [${name}] that it names`)
      await publish(on, found, name, name, depth, signal)
    })

  async function publish(
    on: Bringing,
    { bytes }: FetchedManifest,
    version: string,
    name: ContentName,
    depth: number,
    signal: AbortSignal,
  ): Promise<Manifest> {
    const manifest = parseManifest(bytes, undefined)
    await bringNamed(on, manifest, depth, signal)
    await publishManifest(deps, on.place, { version, name, manifest, bytes }, { by: on.options.by }, signal)
    return manifest
  }

  /** Signatures, bills of materials and the like, which may be newer than what they are about. */
  async function bringReferrers(on: Bringing, subject: ContentName, depth: number, signal: AbortSignal): Promise<void> {
    if (depth > MAX_DEPTH) return
    const listed = await client.listReferrers(client.repositoryOf(on.place.image), subject, undefined, signal)
    for (const { digest } of listed.slice(0, MOST_REFERRERS)) {
      await bringByDigest(on, digest, 0, signal)
      await bringReferrers(on, digest, depth + 1, signal)
    }
  }

  async function bringVersion(on: Bringing, tag: string): Promise<Omit<BroughtVersion, 'sizeBytes'> | undefined> {
    const { place, signal } = on
    const from = client.repositoryOf(place.image)
    const head = await client.headManifest(from, tag, signal)
    if (head === undefined) return undefined
    const before = await manifests.find(place, { kind: 'tag', tag })
    const known = before?.node.digest as string | undefined
    let [digest, manifest] = [known as ContentName, before && (await manifests.parse(before, signal))]
    if (known !== head.digest || manifest === undefined) {
      const found = await client.getManifest(from, tag, signal)
      if (found === undefined) return undefined
      digest = `sha256:${hash('sha256', found.bytes)}` as ContentName
      if (digest !== known) on.changed = true
      manifest = await publish(on, found, tag, digest, 0, signal)
    }
    const children = manifest.manifests.filter(({ mediaType }) => kindOf(mediaType) !== undefined)
    for (const subject of [digest, ...children.map((child) => child.digest)]) {
      await bringReferrers(on, subject, 0, signal)
    }
    return {
      digest,
      result: on.changed ? 'written' : 'unchanged',
      replaced: known === undefined || known === digest ? 'nothing' : 'another',
      fetchedBlobs: on.fetchedBlobs,
    }
  }

  return {
    async check(signal) {
      await client.check(signal)
    },
    async packages(signal) {
      const { pathname } = new URL(client.url)
      const prefix = pathname === '/' ? '' : `${pathname.replace(/^\/|\/+$/g, '')}/`
      const names: string[] = []
      for await (const page of client.catalog(signal)) {
        for (const name of page) if (name.startsWith(prefix)) names.push(name.slice(prefix.length))
      }
      return names.filter((name) => parseImageName(name) !== undefined)
    },
    async versions(packageName, signal) {
      const tags: string[] = []
      try {
        for await (const page of client.listTags(client.repositoryOf(packageName), signal))
          tags.push(...page.filter((tag) => !STAND_IN.test(tag)))
      } catch (error) {
        if (hasCode(error, 'UPSTREAM_FAILED') && statusOf(error) === 404) return undefined
        throw error
      }
      return tags
    },
    async bring(repository, { packageName, name }, options, signal) {
      const place = { repository, image: packageName as ImageName }
      const on: Bringing = { place, options, signal, fetchedBlobs: 0, changed: false }
      const brought = await bringVersion(on, name)
      if (brought === undefined) return undefined
      const { sizeBytes } = await deps.packages.getVersion(repository, keyOf(place), name)
      return { ...brought, sizeBytes }
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  }
}
