import { createImageArrivals } from '../artifacts/images/image-arrivals.ts'
import type { ImageBlobs } from '../artifacts/images/image-blobs.ts'
import { createImageUpstreams } from '../artifacts/images/image-upstreams.ts'
import { createFetchedBlobs } from '../formats/oci/fetched-blobs.ts'
import { createFetchedListings } from '../formats/oci/fetched-listings.ts'
import { createFetchedManifests } from '../formats/oci/fetched-manifests.ts'
import { fetchingOperations } from '../formats/oci/fetching-repository.ts'
import { createManifestCompletion } from '../formats/oci/manifest-completion.ts'
import type { ManifestStore } from '../formats/oci/manifest-store.ts'
import type { Operations } from '../formats/oci/operation.ts'
import type { Ground } from './ground.ts'
import type { ImageParts } from './images.ts'

type Parts = Pick<ImageParts, 'intake' | 'packages' | 'publishing' | 'passwordsOfProxies' | 'rules'> & {
  /** Of what is here. */
  readonly own: Operations
  readonly blobs: ImageBlobs
  readonly manifests: ManifestStore
}

/** Repositories whose images come from registries of others. */
export function createImageFetching(ground: Ground, parts: Parts) {
  const { own, blobs, manifests, intake, packages, publishing, rules, passwordsOfProxies: passwords } = parts
  const { db, store, clock, random, config, clusterId, warn } = ground
  const stop = new AbortController()
  const { signal } = stop
  const { absentMs, downloadsAtOnce: connections } = config.proxy
  const name = `entrepot-${clusterId}`
  const upstreams = createImageUpstreams({ db, clock, random, rules, passwords, name, connections })
  const arrivals = createImageArrivals({ db, blobs: store, intake, clock })
  const shared = { db, clock, manifests, packages, publishing, signal }
  const completion = createManifestCompletion({
    ...shared,
    onError: (err, about) => warn('a fetched image does not claim all of its blobs', { err, ...about }),
  })
  const fetched = {
    manifests: createFetchedManifests({ ...shared, upstreams, completion, absentMs, warn }),
    blobs: createFetchedBlobs({ clock, blobs, upstreams, arrivals, completion, absentMs, signal, warn }),
    listings: createFetchedListings({ clock, upstreams, keptMs: absentMs }),
  }
  return {
    arrivals,
    operations: fetchingOperations({ own, ...fetched, name }),
    /** Until the signal; then cuts the downloads and resolves when they have ended. */
    async run(until: AbortSignal): Promise<void> {
      if (!until.aborted) await new Promise((resolve) => until.addEventListener('abort', resolve, { once: true }))
      stop.abort(new Error('this server is stopping'))
      await fetched.manifests.rest()
      await fetched.blobs.rest()
      await completion.rest()
      upstreams[Symbol.dispose]()
    },
  }
}
