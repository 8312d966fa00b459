import { findImageBlobs, type ImageBlob } from '../../artifacts/images/image-blobs.ts'
import type { DraftFile } from '../../artifacts/packages/version-draft.ts'
import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import type { ContentName } from '../../core/content-name.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { blobPath, manifestPath } from './coordinates.ts'
import { type Descriptor, manifestInvalid } from './descriptor.ts'
import { ociError } from './errors.ts'
import { type Manifest, mayBeElsewhere } from './manifest.ts'
import type { ManifestStore, Place, StoredManifest } from './manifest-store.ts'
import { kindOf } from './media-types.ts'

/** What a manifest names, and what that names. */
export interface Closure {
  /** Leaves first; the manifest itself is not among them. */
  readonly files: readonly DraftFile[]
  /** By the digest that the index names them by. */
  readonly children: ReadonlyMap<ContentName, Manifest>
  readonly blobs: ReadonlyMap<ContentName, ImageBlob>
  /** What is not here and was left out. */
  readonly lacking: readonly ContentName[]
}

interface Child {
  readonly stored: StoredManifest
  readonly manifest: Manifest
}

export interface ClosureDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly clock: Pick<Clock, 'now'>
  readonly manifests: ManifestStore
}

/** What becomes of contents that a manifest names and that are not in its image. */
export type AbsentContents = 'refused' | 'left out'

/** Of indexes in an index. */
const MAX_DEPTH = 8
const MAX_FILES = 9_900
const READS_AT_ONCE = 8

/**
 * Finds all that a manifest names in its image. Somebody may take it away at once: publishing looks again.
 * @throws AppError MANIFEST_BLOB_UNKNOWN naming what is absent; MANIFEST_INVALID where a size is not what it says.
 */
export async function closureOf(
  { db, clock, manifests }: ClosureDeps,
  place: Place,
  root: Manifest,
  lacking: AbsentContents,
  signal: AbortSignal,
): Promise<Closure> {
  const { repository, image } = place
  const children = new Map<ContentName, Child>()
  let level: readonly Manifest[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw manifestInvalid(`its indexes are nested more than ${MAX_DEPTH} deep`)
    const wanted = new Map(level.flatMap((one) => one.manifests.map((child) => [child.digest, child] as const)))
    for (const name of children.keys()) wanted.delete(name)
    if (children.size + wanted.size > MAX_FILES) throw tooMany()
    const found = await mapConcurrent(
      [...wanted.values()],
      READS_AT_ONCE,
      async (child, stop): Promise<Child | undefined> => {
        const stored = await manifests.find(place, { kind: 'digest', name: child.digest })
        return stored === undefined ? undefined : { stored, manifest: await manifests.parse(stored, stop) }
      },
      signal,
    )
    const names = [...wanted.keys()]
    level = found.flatMap((child, at) => {
      if (child === undefined) return []
      children.set(names[at]!, child)
      return [child.manifest]
    })
  }

  const all = [root, ...[...children.values()].map(({ manifest }) => manifest)]
  const absent = all.flatMap((one) => one.manifests).filter(({ digest }) => !children.has(digest))
  const manifest = absent.find(({ mediaType }) => kindOf(mediaType) !== undefined)
  if (manifest !== undefined && lacking === 'refused') throw unknown(place, 'manifest', manifest)
  // What an index names besides manifests are blobs: caches of builders are made so.
  const leaves = new Map([...all.flatMap(leavesOf), ...absent].map((one) => [one.digest, one] as const))
  if (leaves.size + children.size > MAX_FILES) throw tooMany()
  const blobs = await findImageBlobs(db.read, repository.id, image, [...leaves.keys()], clock.now())
  const blob = [...leaves.values()].find((leaf) => !blobs.has(leaf.digest) && !mayBeElsewhere(leaf))
  if (blob !== undefined && lacking === 'refused') throw unknown(place, 'blob', blob)
  checkSizes(root, blobs, children)

  const files = new Map<string, DraftFile>()
  const add = (file: DraftFile) => {
    if (!files.has(file.path)) files.set(file.path, file)
  }
  function addLeaf(role: string, { digest: name }: Descriptor): void {
    const blob = blobs.get(name)
    if (blob === undefined) return
    const { digest, sizeBytes, node } = blob
    add({
      path: blobPath(image, name),
      role,
      content: node === undefined ? { digest, sizeBytes, held: true } : 'stored',
    })
  }
  function addAll(manifest: Manifest): void {
    for (const layer of manifest.layers) addLeaf('layer', layer)
    if (manifest.config !== undefined) addLeaf('config', manifest.config)
    for (const { digest: name, ...rest } of manifest.manifests) {
      const child = children.get(name)
      const path = child && manifestPath(image, name, child.manifest.kind)
      if (child === undefined || path === undefined) addLeaf('layer', { digest: name, ...rest })
      else if (!files.has(path)) {
        addAll(child.manifest)
        add({ path, role: 'manifest', content: contentOf(child.stored, path) })
      }
    }
  }
  addAll(root)
  const parsed = [...children].map(([name, { manifest }]) => [name, manifest] as const)
  const lacks = [...leaves.values()].filter((leaf) => !blobs.has(leaf.digest) && !mayBeElsewhere(leaf))
  return {
    files: [...files.values()],
    children: new Map(parsed),
    blobs,
    lacking: lacks.map(({ digest }) => digest),
  }
}

/** A child that only a tag has gets a file at its digest. */
function contentOf({ node }: StoredManifest, path: string): DraftFile['content'] {
  return node.path === path ? 'stored' : { digest: node.digest, sizeBytes: node.sizeBytes, held: true }
}

const leavesOf = ({ config, layers }: Manifest): Descriptor[] =>
  config === undefined ? [...layers] : [...layers, config]

/** What its children name was looked at when they came. */
function checkSizes(
  root: Manifest,
  blobs: ReadonlyMap<ContentName, ImageBlob>,
  children: ReadonlyMap<ContentName, Child>,
): void {
  for (const { digest, sizeBytes: said } of [...leavesOf(root), ...root.manifests]) {
    const held = children.get(digest)?.stored.node.sizeBytes ?? blobs.get(digest)?.sizeBytes
    if (held !== undefined && held !== said)
      throw manifestInvalid(`[${digest}] has ${held} bytes, not ${said} as it says`, { digest, size: held })
  }
}

function unknown({ image }: Place, what: 'manifest' | 'blob', { digest, mediaType }: Descriptor) {
  const message = `The ${what} [${digest}] that it names is not in image [${image}]: push it first`
  return ociError('MANIFEST_BLOB_UNKNOWN', message, { digest, mediaType })
}
const tooMany = () => manifestInvalid(`it names more than ${MAX_FILES} contents, with all that they name`)
