import { type ContentName, parseContentName } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import type { Platform } from '../../core/platform.ts'
import type { BlobStat, BlobStore } from '../../storage/blob-store.ts'

/** What a manifest names. */
export interface ManifestFacts {
  /** Config and layers, and what an index names besides manifests. */
  readonly blobs: readonly ContentName[]
  /** Undefined: it is no index. */
  readonly children: readonly ManifestChild[] | undefined
}
export interface ManifestChild {
  readonly digest: ContentName
  /** As the index says. */
  readonly platform: Platform | undefined
  /** The child of the same index that it goes with: an attestation says so. */
  readonly about: ContentName | undefined
}

/** Manifests by content, read once: they never change. Those that cannot be read are left out. */
export type ManifestReader = (contents: readonly BlobStat[]) => Promise<ReadonlyMap<Digest, ManifestFacts>>

const MAX_REMEMBERED = 10_000
const MAX_BYTES = 4 * 1024 * 1024
/** Of contents that are read together. */
const BYTES_AT_ONCE = 16 * 1024 * 1024
const NEVER = new AbortController().signal

export function createManifestReader(store: Pick<BlobStore, 'readMany'>): ManifestReader {
  const known = new Map<Digest, ManifestFacts>()
  return async (contents) => {
    const found = new Map<Digest, ManifestFacts>()
    const wanted = new Map(contents.filter(({ sizeBytes }) => sizeBytes <= MAX_BYTES).map((one) => [one.digest, one]))
    for (const digest of [...wanted.keys()]) {
      const facts = known.get(digest)
      if (facts === undefined) continue
      found.set(digest, facts)
      wanted.delete(digest)
    }
    for (const some of slices([...wanted.values()])) {
      for (const [digest, bytes] of await store.readMany(some, NEVER)) {
        const facts = readFacts(bytes)
        if (facts === undefined) continue
        found.set(digest, facts)
        if (known.size >= MAX_REMEMBERED) known.clear()
        known.set(digest, facts)
      }
    }
    return found
  }
}

function* slices(contents: readonly BlobStat[]): Generator<BlobStat[]> {
  let [slice, bytes]: [BlobStat[], number] = [[], 0]
  for (const one of contents) {
    if (bytes + one.sizeBytes > BYTES_AT_ONCE && slice.length > 0) {
      yield slice
      ;[slice, bytes] = [[], 0]
    }
    slice.push(one)
    bytes += one.sizeBytes
  }
  if (slice.length > 0) yield slice
}

/** Undefined: it is no manifest. It was checked when it came; what another cluster or a user put there may be anything. */
export function readFacts(bytes: Buffer): ManifestFacts | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  const manifests = listIn(value, 'manifests')
  const blobs = [value.config, ...(listIn(value, 'layers') ?? []), ...(listIn(value, 'blobs') ?? [])]
  return {
    blobs: [...blobs, ...(manifests ?? [])].flatMap((one) => nameIn(one) ?? []),
    children: manifests?.flatMap((one) => childOf(one) ?? []),
  }
}

function childOf(value: unknown): ManifestChild | undefined {
  const digest = nameIn(value)
  if (digest === undefined || !isObject(value)) return undefined
  const annotations = isObject(value.annotations) ? value.annotations : {}
  return { digest, platform: platformOf(value.platform), about: nameOf(annotations[REFERENCE]) }
}
/** Source: BuildKit, "Image attestation storage". */
const REFERENCE = 'vnd.docker.reference.digest'

/** Undefined where it says none. */
export function platformOf(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined
  const { os, architecture, variant } = value
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '') return undefined
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) }
}

type JsonObject = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const listIn = (value: JsonObject, field: string): readonly unknown[] | undefined =>
  Array.isArray(value[field]) ? value[field] : undefined
const nameOf = (value: unknown): ContentName | undefined =>
  typeof value === 'string' ? parseContentName(value) : undefined
const nameIn = (value: unknown): ContentName | undefined => (isObject(value) ? nameOf(value.digest) : undefined)
