import type { Publishing } from '../../artifacts/packages/publishing.ts'
import type { ContentName } from '../../core/content-name.ts'
import { digestOfBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import type { Metadata } from '../../core/metadata.ts'
import { findVersion, type VersionRecord } from '../../metadata/packages/versions.ts'
import { manifestPath } from './coordinates.ts'
import type { Manifest } from './manifest.ts'
import { type AbsentContents, type Closure, type ClosureDeps, closureOf } from './manifest-closure.ts'
import { keyOf, type Place } from './manifest-store.ts'
import { describeVersion } from './version-document.ts'

/** A manifest that becomes a version of its image. */
export interface ManifestPublication {
  /** A tag, or the digest. */
  readonly version: string
  /** As its clients name it. */
  readonly name: ContentName
  readonly manifest: Manifest
  readonly bytes: Buffer
}

export interface PublicationDeps extends ClosureDeps {
  readonly publishing: Publishing
}

export interface PublicationMore {
  readonly by: string
  /** Added to what the version says of itself; takes the place of what has the same key. */
  readonly metadata?: Metadata
  /** `left out`: of a repository that fetches what it lacks when somebody asks for it. */
  readonly absent?: AbsentContents
  /** `same`: only while the version is there with this very manifest. */
  readonly over?: 'anything' | 'same'
}

/** Each attempt that fails means that somebody else took away what the manifest names. */
const MAX_ATTEMPTS = 5

/** Line 2 to 4 of a push (docs/design/images.md). @throws AppError MANIFEST_BLOB_UNKNOWN, MANIFEST_INVALID, and as `Publishing.publish`. */
export async function publishManifest(
  deps: PublicationDeps,
  place: Place,
  publication: ManifestPublication,
  more: PublicationMore,
  signal: AbortSignal,
): Promise<Closure> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await publishOnce(deps, place, publication, more, signal)
    } catch (error) {
      const isGone = hasCode(error, 'NODE_NOT_FOUND', 'BLOB_UNKNOWN') && error.detail.oci === undefined
      if (!isGone || attempts === MAX_ATTEMPTS) throw error
    }
  }
}

async function publishOnce(
  deps: PublicationDeps,
  place: Place,
  { version, name, manifest, bytes }: ManifestPublication,
  { by, metadata: added = [], absent = 'refused', over = 'anything' }: PublicationMore,
  signal: AbortSignal,
): Promise<Closure> {
  const { manifests, publishing } = deps
  const closure = await closureOf(deps, place, manifest, absent, signal)
  const extension = await describeVersion(name, manifest, closure, async (blob) => {
    try {
      return await manifests.bytesOf(blob, signal)
    } catch (error) {
      if (hasCode(error, 'CONTENT_MISSING', 'BLOB_UNKNOWN', 'DIGEST_MISMATCH')) return undefined
      throw error
    }
  })
  const path = manifestPath(place.image, version, manifest.kind)
  const content = { digest: digestOfBytes(bytes), bytes }
  const { metadata, ...words } = await wordsKept(deps, place, version, name)
  const own = [{ key: DIGEST_KEY, value: name }, ...added]
  const draft = {
    packageKey: keyOf(place),
    version,
    files: [...closure.files, { path, role: 'main', content }],
    existing: 'replace',
    manifestPath: path,
    metadata: [...metadata.filter(({ key }) => key !== FETCHED.key && !own.some((one) => one.key === key)), ...own],
    ...words,
    extension,
    ...(absent === 'left out' ? { arrival: 'fetched' as const } : {}),
    ...(over === 'same' ? { onlyOver: name } : {}),
  } as const
  await publishing.publish(place.repository, draft, by, signal)
  return closure
}

/** @returns the words that a version with the same manifest keeps. */
async function wordsKept({ db }: PublicationDeps, place: Place, version: string, name: ContentName): Promise<Words> {
  const before = await findVersion(db.read, place.repository.id, keyOf(place), version)
  return before?.digest === name ? wordsOf(before) : NO_WORDS
}

const DIGEST_KEY = 'manifest_digest'
/** Of a version that came from a registry of somebody else (replication.md 4.1). */
export const FETCHED = { key: 'sourceType', value: 'PROXY' } as const
interface Words {
  readonly metadata: Metadata
  readonly tags: readonly string[]
  readonly stageTags: readonly string[]
}
const NO_WORDS: Words = { metadata: [], tags: [], stageTags: [] }
const wordsOf = ({ metadata, tags, stageTags }: VersionRecord): Words => ({
  ...{ tags, stageTags },
  metadata: metadata.filter(({ system }) => system !== true),
})
