import type { ImageBlob } from '../../artifacts/images/image-blobs.ts'
import type { ContentName } from '../../core/content-name.ts'
import { type Descriptor, isObject, type JsonObject, type Platform, platformIn } from './descriptor.ts'
import type { Manifest } from './manifest.ts'
import type { Closure } from './manifest-closure.ts'
import { DOCKER_CONFIG, HELM_CONFIG, OCI_CONFIG } from './media-types.ts'
import { parseStrictJson } from './strict-json.ts'

/** What a version of an image says of itself: its `extension` (docs/design/images.md). */
export interface VersionDocument extends Record<string, unknown> {
  readonly mediaType: string
  /** Of the manifest, as it was pushed by. */
  readonly digest: ContentName
  readonly artifactType?: string
  /** Digest of the manifest that it is about. */
  readonly subject?: ContentName
  readonly annotations?: Readonly<Record<string, string>>
  readonly config?: Named
  readonly layers?: readonly Named[]
  /** As its config, or its annotations, say. */
  readonly created?: string
  readonly platforms?: readonly Platform[]
  readonly labels?: Readonly<Record<string, string>>
  /** Of a Helm chart. */
  readonly appVersion?: string
  /** Digests of manifests of the index that replication did not bring here (docs/design/replication-packages.md, Platforms). */
  readonly leftOut?: readonly string[]
  /** Some of this was too long to be kept here; the manifest has it. */
  readonly abridged?: true
}
interface Named {
  readonly mediaType: string
  readonly digest: ContentName
  readonly size: number
}

/** As JSON: it travels in one frame with the version. */
const MAX_BYTES = 256 * 1024
const MAX_CONFIG_BYTES = 4 * 1024 * 1024
const MAX_CONFIGS = 100
const CREATED = 'org.opencontainers.image.created'
const READABLE: ReadonlySet<string> = new Set([OCI_CONFIG, DOCKER_CONFIG, HELM_CONFIG])

/** @param read of contents that are not too large; undefined: it cannot be read, then nothing is said of it. */
export async function describeVersion(
  name: ContentName,
  manifest: Manifest,
  { children, blobs }: Pick<Closure, 'children' | 'blobs'>,
  read: (blob: ImageBlob) => Promise<Buffer | undefined>,
): Promise<VersionDocument> {
  async function configOf({ config }: Manifest): Promise<JsonObject | undefined> {
    const blob = config && READABLE.has(config.mediaType) ? blobs.get(config.digest) : undefined
    if (blob === undefined || blob.sizeBytes > MAX_CONFIG_BYTES) return undefined
    const bytes = await read(blob)
    const { value } = bytes === undefined ? {} : parseStrictJson(bytes)
    return isObject(value) ? value : undefined
  }
  const { mediaType, artifactType, subject, annotations, config, layers } = manifest
  const said = await configOf(manifest)
  const platforms = await platformsOf(manifest, children, configOf, said)
  const created = textOf(said?.created) ?? annotations[CREATED]
  const labels = labelsOf(said)
  const appVersion = config?.mediaType === HELM_CONFIG ? textOf(said?.appVersion) : undefined
  return abridge({
    ...{ mediaType, digest: name },
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: subject.digest }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(config === undefined ? {} : { config: named(config) }),
    ...(manifest.kind === 'index' ? {} : { layers: layers.map(named) }),
    ...(created === undefined ? {} : { created }),
    ...(platforms.length === 0 ? {} : { platforms }),
    ...(labels === undefined ? {} : { labels }),
    ...(appVersion === undefined ? {} : { appVersion }),
  })
}

const named = ({ mediaType, digest, sizeBytes }: Descriptor): Named => ({ mediaType, digest, size: sizeBytes })

/** Of an index: as it says, or else as the children's configs do. Attestations have the platform `unknown`. */
async function platformsOf(
  manifest: Manifest,
  children: Closure['children'],
  configOf: (child: Manifest) => Promise<JsonObject | undefined>,
  own: JsonObject | undefined,
): Promise<Platform[]> {
  const found: Platform[] = []
  const note = (platform: Platform | undefined) => {
    if (platform !== undefined && platform.os !== 'unknown') found.push(platform)
  }
  if (manifest.kind === 'manifest') note(own && platformIn(own))
  for (const { digest, platform } of manifest.manifests.slice(0, MAX_CONFIGS)) {
    const child = platform === undefined ? children.get(digest) : undefined
    const config = child === undefined ? undefined : await configOf(child)
    note(platform ?? (config && platformIn(config)))
  }
  return [...new Map(found.map((one) => [JSON.stringify(one), one])).values()]
}

function labelsOf(config: JsonObject | undefined): Readonly<Record<string, string>> | undefined {
  const inner = config?.config
  const labels = isObject(inner) ? inner.Labels : undefined
  if (!isObject(labels)) return undefined
  const texts = Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return texts.length === 0 ? undefined : Object.fromEntries(texts)
}
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= 255 ? value : undefined

const DISPENSABLE = ['labels', 'platforms', 'layers', 'annotations'] as const
function abridge(document: VersionDocument): VersionDocument {
  let rest = document
  for (const field of DISPENSABLE) {
    if (Buffer.byteLength(JSON.stringify(rest)) <= MAX_BYTES) break
    const { [field]: _, ...kept } = rest
    rest = { ...(kept as VersionDocument), abridged: true }
  }
  return rest
}
