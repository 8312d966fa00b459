import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import type { Content } from '../../test/helpers/api.ts'
import { patternless } from '../content.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const GZIP_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

export interface PushedManifest {
  readonly bytes: Buffer
  readonly mediaType: string
  readonly digest: string
}
/** An image as a registry is to hold it. */
export interface BenchImage {
  /** Below the repository. */
  readonly name: string
  readonly tag: string
  /** Config last. */
  readonly blobs: readonly BenchBlob[]
  readonly manifest: PushedManifest
}
export interface BenchBlob {
  readonly digest: string
  readonly content: Content
}

export interface SetOptions {
  readonly count: number
  readonly layers: number
  readonly layerBytes: number
  /** Sets of other seeds share nothing. */
  readonly seed: number
  /** One image with `count` tags, or as many images with one. */
  readonly of?: 'tags' | 'images'
}

/** Each layer is of its image alone. */
export function imageSet({ count, layers, layerBytes, seed, of = 'images' }: SetOptions): BenchImage[] {
  const bytes = patternless(count * layers * layerBytes, 1_000 + seed)
  return Array.from({ length: count }, (_, index) => {
    const own = Array.from({ length: layers }, (_unused, layer) => {
      const at = (index * layers + layer) * layerBytes
      return gzipSync(bytes.subarray(at, at + layerBytes), { level: 1 })
    })
    const number = String(index).padStart(4, '0')
    const config = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', seed, number, ...ROOTFS }))
    return {
      ...(of === 'tags' ? { name: 'app', tag: `v${number}` } : { name: `app${number}`, tag: 'latest' }),
      blobs: [...own, config].map((content) => ({ digest: digestOf(content), content })),
      manifest: withLayers(
        config,
        own.map((layer) => descriptor(layer, GZIP_LAYER)),
      ),
    }
  })
}

const ROOTFS = { rootfs: { type: 'layers', diff_ids: [] } }

/** One layer of many gzip members, which is as good as one; making it must cost nothing while we measure. */
export function largeImage(sizeBytes: number, seed: number): BenchImage & { readonly layer: BenchBlob } {
  const members = Array.from({ length: MEMBERS }, (_, index) =>
    gzipSync(patternless(MEMBER_BYTES, seed * MEMBERS + index)),
  )
  const count = Math.max(1, Math.round(sizeBytes / MEMBER_BYTES))
  function* chunks(): Generator<Buffer> {
    for (let at = 0; at < count; at++) yield members[at % MEMBERS]!
  }
  const hash = createHash('sha256')
  let size = 0
  for (const chunk of chunks()) {
    hash.update(chunk)
    size += chunk.length
  }
  const open = () => Readable.from(chunks(), { objectMode: false, highWaterMark: MEMBER_BYTES })
  const layer = { digest: `sha256:${hash.digest('hex')}`, content: { sizeBytes: size, open } }
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', seed, ...ROOTFS }))
  return {
    ...{ name: 'large', tag: 'latest', layer },
    blobs: [layer, { digest: digestOf(config), content: config }],
    manifest: withLayers(config, [{ mediaType: GZIP_LAYER, digest: layer.digest, size }]),
  }
}

const MEMBER_BYTES = 1024 * 1024
const MEMBERS = 32

function withLayers(config: Buffer, layers: readonly object[]): PushedManifest {
  const document = { schemaVersion: 2, mediaType: MANIFEST, config: descriptor(config, CONFIG), layers }
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes, mediaType: MANIFEST, digest: digestOf(bytes) }
}
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const descriptor = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
