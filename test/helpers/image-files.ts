import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { CONFIG, descriptor, INDEX, MANIFEST, manifestOf, type PushedManifest } from './registry.ts'
import { type TarFile, tarOf } from './tar-files.ts'

/** `stored`: gzip that does not compress, which is quick for bytes that do not compress anyway. */
export type Packing = 'plain' | 'gzip' | 'stored' | 'zstd'
export interface LayerLook {
  readonly packing: Packing
  readonly files: readonly TarFile[]
}
export interface ImageLook {
  readonly architecture: string
  readonly layers: readonly LayerLook[]
  readonly labels?: Readonly<Record<string, string>>
}

/** A folder with one image or index, as skopeo and others read it: `oci:<path>:<tag>`. */
export interface Layout extends PushedManifest {
  readonly path: string
  /** Of an index, its images; else the one. */
  readonly images: readonly LayoutImage[]
}
export interface LayoutImage extends PushedManifest {
  readonly architecture: string
  readonly layers: readonly { readonly digest: string; readonly size: number }[]
}

const LAYER_TYPES: Readonly<Record<Packing, string>> = {
  plain: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  stored: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
}
const PACKERS: Readonly<Record<Packing, () => Transform>> = {
  plain: () => new PassThrough(),
  gzip: () => createGzip(),
  stored: () => createGzip({ level: 0 }),
  zstd: () => createZstdCompress(),
}

/** Several looks become an index. Writes the folder. */
export async function writeLayout(path: string, tag: string, looks: readonly ImageLook[]): Promise<Layout> {
  await mkdir(join(path, 'blobs', 'sha256'), { recursive: true })
  const images: LayoutImage[] = []
  for (const look of looks) images.push(await writeImage(path, look))
  const [only] = images
  if (only === undefined) throw new Error('an image at least')
  const top = images.length === 1 ? only : await writeIndex(path, images)
  const named = descriptor(top.bytes, top.mediaType, { annotations: { 'org.opencontainers.image.ref.name': tag } })
  await writeFile(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  await writeFile(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return { ...top, path, images }
}

async function writeImage(path: string, { architecture, layers, labels = {} }: ImageLook): Promise<LayoutImage> {
  const packed = []
  for (const layer of layers) packed.push(await writeLayer(path, layer))
  const config = Buffer.from(
    JSON.stringify({
      ...{ created: '2026-01-02T03:04:05Z', architecture, os: 'linux', config: { Labels: labels } },
      rootfs: { type: 'layers', diff_ids: packed.map(({ diffId }) => diffId) },
      history: packed.map(() => ({ created: '2026-01-02T03:04:05Z', created_by: 'made of files' })),
    }),
  )
  await writeBlob(path, config)
  const manifest = manifestOf({
    mediaType: MANIFEST,
    ...{ config: descriptor(config, CONFIG), layers: packed.map(({ diffId: _, ...said }) => said) },
  })
  await writeBlob(path, manifest.bytes)
  return { ...manifest, architecture, layers: packed }
}

async function writeIndex(path: string, images: readonly LayoutImage[]): Promise<PushedManifest> {
  const manifests = images.map(({ bytes, mediaType, architecture }) =>
    descriptor(bytes, mediaType, { platform: { architecture, os: 'linux' } }),
  )
  const index = manifestOf({ mediaType: INDEX, manifests })
  await writeBlob(path, index.bytes)
  return index
}

async function writeLayer(path: string, { packing, files }: LayerLook) {
  const [plain, packed] = [createHash('sha256'), createHash('sha256')]
  const unfinished = join(path, 'layer')
  let size = 0
  await pipeline(
    Readable.from(tarOf(files), { objectMode: false }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plain.update(chunk)
        yield chunk
      }
    },
    PACKERS[packing](),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        packed.update(chunk)
        size += chunk.length
        yield chunk
      }
    },
    createWriteStream(unfinished),
  )
  const hex = packed.digest('hex')
  await rename(unfinished, blobPath(path, hex))
  return { mediaType: LAYER_TYPES[packing], digest: `sha256:${hex}`, size, diffId: `sha256:${plain.digest('hex')}` }
}

const blobPath = (path: string, hex: string): string => join(path, 'blobs', 'sha256', hex)
const writeBlob = (path: string, bytes: Buffer): Promise<void> =>
  writeFile(blobPath(path, createHash('sha256').update(bytes).digest('hex')), bytes)
