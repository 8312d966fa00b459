import assert from 'node:assert/strict'
import type { LocalCluster, TestDialect } from './local-cluster.ts'
import {
  basic,
  descriptor,
  digestOf,
  INDEX,
  imageOf,
  LAYER,
  MANIFEST,
  manifestOf,
  type PushedManifest,
  withDigest,
} from './registry.ts'
import { type TaskChanges, type TwoClusters, twoClusters } from './two-clusters.ts'

/** Of both clusters. */
export const IMAGES = 'proj/images'
const [PROJECT, NAME] = IMAGES.split('/') as [string, string]

export interface Answer {
  readonly status: number
  readonly bytes: Buffer
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any
}
export interface ImageLook {
  readonly layers?: readonly Buffer[]
  readonly platform?: string
  /** More fields of the manifest. */
  readonly more?: object
  /** Of the layers. */
  readonly layerType?: string
}
export interface IndexedImage extends PushedManifest {
  readonly children: readonly PushedManifest[]
}

export interface ImagedClusters extends AsyncDisposable {
  readonly on: TwoClusters
  send(where: LocalCluster, method: string, path: string, body?: Buffer, type?: string): Promise<Answer>
  pushBlob(where: LocalCluster, image: string, bytes: Buffer): Promise<void>
  /** Blobs and manifest. @param reference a tag, or `digest`. */
  push(where: LocalCluster, image: string, reference: string, look?: ImageLook): Promise<PushedManifest>
  pushManifest(where: LocalCluster, image: string, reference: string, manifest: PushedManifest): Promise<void>
  /** An index of one image for each platform, whose children are pushed by digest. */
  pushIndex(where: LocalCluster, image: string, tag: string, platforms: readonly string[]): Promise<IndexedImage>
  /** An artifact that is about a manifest, pushed by digest. */
  refer(where: LocalCluster, image: string, subject: PushedManifest, text: string): Promise<PushedManifest>
  tags(where: LocalCluster, image: string): Promise<string[] | undefined>
  referrers(where: LocalCluster, image: string, digest: string): Promise<string[]>
  /** Digest of what there is, as the answer says it; undefined: nothing. */
  digestAt(where: LocalCluster, image: string, reference: string): Promise<string | undefined>
  /** Pulls a manifest with all that it names, as a client does, and compares each digest. @returns digests of all that was pulled. */
  pull(where: LocalCluster, image: string, reference: string): Promise<string[]>
  /** Places of all versions, those that are not listed too. */
  versions(where: LocalCluster): Promise<string[]>
  task(changes?: TaskChanges, object?: Readonly<Record<string, unknown>>): TaskChanges
}

export async function imagedClusters(
  dialect: TestDialect,
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<ImagedClusters> {
  const on = await twoClusters(dialect, signal, env)
  const made = { projectId: PROJECT, name: NAME, type: 'DOCKER', public: false, description: 'images' }
  await on.a.api.call('POST', '/repository/api/repo/create', made, signal)
  return { on, ...imageCalls(signal), [Symbol.asyncDispose]: () => on[Symbol.asyncDispose]() }
}

export function imageCalls(signal: AbortSignal): Omit<ImagedClusters, 'on' | typeof Symbol.asyncDispose> {
  const send: ImagedClusters['send'] = async (where, method, path, body, type) => {
    const url = new URL(path, where.url)
    const headers = { authorization: basic('admin'), ...(type === undefined ? {} : { 'content-type': type }) }
    const answer = await fetch(url, {
      method,
      headers,
      signal,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const isJson = /json/.test(answer.headers.get('content-type') ?? '') && bytes.length > 0
    return {
      status: answer.status,
      bytes,
      headers: answer.headers,
      json: isJson ? JSON.parse(bytes.toString()) : undefined,
    }
  }
  const at = (image: string, rest: string) => `/v2/${IMAGES}/${image}/${rest}`

  const calls: Omit<ImagedClusters, 'on' | typeof Symbol.asyncDispose> = {
    send,
    async pushBlob(where, image, bytes) {
      const begun = await send(where, 'POST', at(image, 'blobs/uploads/'))
      const target = withDigest(begun.headers.get('location')!, digestOf(bytes))
      const put = await send(where, 'PUT', target, bytes, 'application/octet-stream')
      assert.equal(put.status, 201, put.bytes.toString())
    },
    async pushManifest(where, image, reference, { bytes, mediaType }) {
      const put = await send(where, 'PUT', at(image, `manifests/${reference}`), bytes, mediaType)
      assert.equal(put.status, 201, put.bytes.toString())
    },
    async push(
      where,
      image,
      reference,
      {
        layers = [Buffer.from(`layer of ${image}:${reference}`)],
        platform = 'linux/amd64',
        more = {},
        layerType = LAYER,
      } = {},
    ) {
      const [os, architecture, variant] = platform.split('/')
      const config = Buffer.from(
        JSON.stringify({
          os,
          architecture,
          ...(variant === undefined ? {} : { variant }),
          of: `${image}:${reference}`,
        }),
      )
      for (const blob of [config, ...layers]) await calls.pushBlob(where, image, blob)
      const typed = layerType === LAYER ? {} : { layers: layers.map((layer) => descriptor(layer, layerType)) }
      const manifest = imageOf(config, layers, { ...typed, ...more })
      await calls.pushManifest(where, image, reference === 'digest' ? manifest.digest : reference, manifest)
      return manifest
    },
    async pushIndex(where, image, tag, platforms) {
      const children: PushedManifest[] = []
      for (const platform of platforms) {
        const layers = [Buffer.from('shared by all'), Buffer.from(`${image} ${tag} ${platform}`)]
        children.push(await calls.push(where, image, 'digest', { layers, platform }))
      }
      const manifests = children.map((child, index) => {
        const [os, architecture, variant] = platforms[index]!.split('/')
        return descriptor(child.bytes, MANIFEST, {
          platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
        })
      })
      const index = manifestOf({ mediaType: INDEX, manifests })
      await calls.pushManifest(where, image, tag, index)
      return { ...index, children }
    },
    async refer(where, image, subject, text) {
      const [config, layer] = [Buffer.from('{}'), Buffer.from(text)]
      for (const blob of [config, layer]) await calls.pushBlob(where, image, blob)
      const manifest = manifestOf({
        mediaType: MANIFEST,
        artifactType: 'application/vnd.test.signature',
        config: descriptor(config, 'application/vnd.oci.empty.v1+json'),
        layers: [descriptor(layer, 'application/vnd.test.signature')],
        subject: descriptor(subject.bytes, subject.mediaType),
      })
      await calls.pushManifest(where, image, manifest.digest, manifest)
      return manifest
    },
    async tags(where, image) {
      const { status, json } = await send(where, 'GET', at(image, 'tags/list'))
      return status === 200 ? (json.tags as string[]) : undefined
    },
    async referrers(where, image, digest) {
      const { json } = await send(where, 'GET', at(image, `referrers/${digest}`))
      return ((json?.manifests ?? []) as { digest: string }[]).map((one) => one.digest)
    },
    async digestAt(where, image, reference) {
      const { status, headers } = await send(where, 'HEAD', at(image, `manifests/${reference}`))
      return status === 200 ? headers.get('docker-content-digest')! : undefined
    },
    async pull(where, image, reference) {
      const { status, bytes, headers, json } = await send(where, 'GET', at(image, `manifests/${reference}`))
      assert.equal(status, 200, `${image}:${reference} ${bytes.toString()}`)
      const digest = digestOf(bytes)
      assert.equal(headers.get('docker-content-digest'), digest)
      if (reference.includes(':')) assert.equal(digest, reference)
      const pulled = [digest]
      for (const child of json.manifests ?? []) pulled.push(...(await calls.pull(where, image, child.digest)))
      for (const blob of [...(json.config === undefined ? [] : [json.config]), ...(json.layers ?? [])]) {
        const got = await send(where, 'GET', at(image, `blobs/${blob.digest}`))
        assert.equal(got.status, 200, `blob ${blob.digest} of ${image}:${reference}`)
        assert.equal(digestOf(got.bytes), blob.digest)
        pulled.push(blob.digest)
      }
      return pulled
    },
    async versions(where) {
      const rows = await where.db.read
        .selectFrom('package_version')
        .innerJoin('package', 'package.id', 'package_version.package_id')
        .select(['package.key', 'package_version.name'])
        .orderBy('package.key')
        .orderBy('package_version.name')
        .execute()
      return rows.map(({ key, name }) => `${key} ${name}`)
    },
    task: (changes = {}, object = {}) => ({
      ...changes,
      replicaTaskObjects: [
        {
          ...{ localRepoName: NAME, remoteProjectId: PROJECT, remoteRepoName: NAME, repoType: 'DOCKER' },
          ...{ packageConstraints: [], pathConstraints: [], ...object },
        } as never,
      ],
    }),
  }
  return calls
}
