import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { versionsNaming } from '../../metadata/packages/versions-naming.ts'
import { parseReference, type Reference } from './coordinates.ts'
import { parseManifest } from './manifest.ts'
import { FETCHED, type PublicationDeps, publishManifest } from './manifest-publication.ts'
import { keyOf, type Place, type StoredManifest } from './manifest-store.ts'

/**
 * A manifest that was fetched is a version from the start, though what it names is fetched only when somebody asks for it. As contents
 * arrive, the version claims them: without that they would be forgotten like any blob that no manifest names.
 */
export interface ManifestCompletion {
  /** It was fetched just now, and lacks these. */
  note(place: Place, version: string, lacking: readonly ContentName[]): void
  /** It is served: once in the life of this process, what it lacks is looked up. */
  served(place: Place, stored: StoredManifest): void
  /** @param othersOnTheWay contents of the same image: they come before the next look. */
  arrived(place: Place, name: ContentName, othersOnTheWay: number): void
  /** Until all that was begun has ended. */
  rest(): Promise<void>
}

interface CompletionDeps extends PublicationDeps {
  readonly signal: AbortSignal
  onError(error: unknown, about: Readonly<Record<string, unknown>>): void
}

interface Entry {
  readonly place: Place
  readonly version: string
  lacking: Set<ContentName>
  /** Something arrived that it does not claim yet. */
  isBehind: boolean
}

const MOST_ENTRIES = 10_000
const MOST_SEEN = 50_000
/** Versions of one image that name a content: most have it from the image that they are built on. */
const MOST_LOOKED_AT = 20
const NAMED = /\/manifest\/([^/]+)\/(?:list\.)?manifest\.json$/

export function createManifestCompletion(deps: CompletionDeps): ManifestCompletion {
  const { manifests, signal } = deps
  /** By image, then by version. */
  const waiting = new Map<string, Map<string, Entry>>()
  const seen = new Set<string>()
  const underWay = new Set<Promise<void>>()
  let count = 0

  const imageKey = ({ repository, image }: Place) => `${repository.id}/${image}`

  function put(place: Place, version: string, lacking: readonly ContentName[]): void {
    if (lacking.length === 0) {
      drop(place, version)
      return
    }
    if (count >= MOST_ENTRIES) {
      waiting.clear()
      seen.clear()
      count = 0
    }
    const key = imageKey(place)
    const versions = waiting.get(key) ?? new Map<string, Entry>()
    waiting.set(key, versions)
    if (!versions.has(version)) count++
    versions.set(version, { place, version, lacking: new Set(lacking), isBehind: false })
  }
  function drop(place: Place, version: string): void {
    const key = imageKey(place)
    const versions = waiting.get(key)
    if (versions?.delete(version)) count--
    if (versions?.size === 0) waiting.delete(key)
  }

  const begin = (place: Place, version: string): void => keep(place, version, complete(place, version))
  /** Another process may have brought the manifest. */
  function look(place: Place, name: ContentName): void {
    const found = versionsNaming(deps.db.read, place.repository.id, keyOf(place), name, MOST_LOOKED_AT)
    keep(
      place,
      name,
      found.then((versions) => {
        for (const version of versions) begin(place, version)
      }),
    )
  }
  function keep(place: Place, about: string, begun: Promise<void>): void {
    const work = begun
      .catch((error: unknown) => {
        if (!signal.aborted) deps.onError(error, { repository: place.repository.name, image: place.image, about })
      })
      .finally(() => underWay.delete(work))
    underWay.add(work)
  }
  async function complete(place: Place, version: string): Promise<void> {
    const reference = parseReference(version)
    const stored = reference && (await manifests.find(place, reference))
    // One that is known by its digest alone is there by the version that names it.
    if (reference === undefined || stored === undefined) return drop(place, version)
    const bytes = await manifests.bytesOf(stored.node, signal)
    const name = nameOf(reference, stored)
    const publication = { version, name, manifest: parseManifest(bytes, undefined), bytes }
    try {
      const more = { by: SYSTEM, metadata: [FETCHED], absent: 'left out', over: 'same' } as const
      const { lacking } = await publishManifest(deps, place, publication, more, signal)
      put(place, version, lacking)
    } catch (error) {
      // Somebody else has put another in its place, or deleted it.
      if (!hasCode(error, 'VERSION_NOT_FOUND', 'PACKAGE_NOT_FOUND')) throw error
      drop(place, version)
    }
  }

  return {
    note(place, version, lacking) {
      put(place, version, lacking)
    },
    served(place, { node }) {
      const version = NAMED.exec(node.path)?.[1]
      const key = `${imageKey(place)}:${version}@${node.digest}`
      if (version === undefined || seen.has(key)) return
      if (seen.size >= MOST_SEEN) seen.clear()
      seen.add(key)
      if (waiting.get(imageKey(place))?.has(version) !== true) begin(place, version)
    },
    arrived(place, name, othersOnTheWay) {
      let isKnown = false
      for (const entry of waiting.get(imageKey(place))?.values() ?? []) {
        if (entry.lacking.delete(name)) {
          isKnown = true
          entry.isBehind = true
        }
        if (!entry.isBehind || (entry.lacking.size > 0 && othersOnTheWay > 0)) continue
        entry.isBehind = false
        begin(entry.place, entry.version)
      }
      if (!isKnown) look(place, name)
    },
    async rest() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** Who writes what was fetched. */
export const SYSTEM = 'system'

const nameOf = (reference: Reference, { node }: StoredManifest): ContentName =>
  reference.kind === 'digest' ? reference.name : (node.digest as string as ContentName)
