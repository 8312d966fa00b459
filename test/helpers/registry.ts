import { createHash } from 'node:crypto'
import { type LocalCluster, type LocalClusterOptions, startCluster, type TestDialect } from './local-cluster.ts'

/** A registry of images: a whole server with the project `demo` and the DOCKER repositories `images` and `others`. */
export interface Registry extends AsyncDisposable {
  readonly server: LocalCluster
  /** `demo/images/<name of its own>`: the specification's `<name>`. */
  fresh(): string
  /** As the administrator, unless `authorization` says otherwise (empty: nobody). @param target below the root, or as `Location` has it. */
  call(method: string, target: string, more?: CallMore): Promise<RegistryAnswer>
  /** POST, then PUT. */
  pushBlob(name: string, bytes: Buffer, digest?: string): Promise<RegistryAnswer>
  pushManifest(name: string, reference: string, manifest: PushedManifest): Promise<RegistryAnswer>
  /** Config and one layer, both pushed. */
  pushImage(name: string, tag: string, more?: object): Promise<PushedManifest>
  user(name: string): string
}
export interface CallMore {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  readonly authorization?: string
}
export interface RegistryAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
  /** Of JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any
  /** The first error's. */
  readonly code: string | undefined
}
export interface PushedManifest {
  readonly bytes: Buffer
  readonly mediaType: string
  readonly digest: string
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX = 'application/vnd.oci.image.index.v1+json'
export const CONFIG = 'application/vnd.oci.image.config.v1+json'
export const LAYER = 'application/vnd.oci.image.layer.v1.tar'
export const EMPTY = Buffer.from('{}')
export const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
const PASSWORD = 'correct-horse-battery'

export const digestOf = (bytes: Buffer | string, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
export const descriptor = (bytes: Buffer, mediaType: string, more: object = {}) => ({
  ...{ mediaType, digest: digestOf(bytes), size: bytes.length },
  ...more,
})
export interface ManifestDocument {
  readonly mediaType: string
  readonly [name: string]: unknown
}
export function manifestOf(document: ManifestDocument): PushedManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }))
  return { bytes, mediaType: document.mediaType, digest: digestOf(bytes) }
}
export const imageOf = (config: Buffer, layers: readonly Buffer[], more: object = {}): PushedManifest =>
  manifestOf({
    mediaType: MANIFEST,
    ...{ config: descriptor(config, CONFIG), layers: layers.map((layer) => descriptor(layer, LAYER)) },
    ...more,
  })
/** A signature, as clients of 1.1 attach one: its config is `EMPTY`. */
export const signatureOf = ({ bytes, mediaType }: PushedManifest, text: string): PushedManifest =>
  manifestOf({
    ...{ mediaType: MANIFEST, artifactType: 'application/vnd.example.signature', annotations: { text } },
    ...{ config: descriptor(EMPTY, EMPTY_TYPE), layers: [], subject: descriptor(bytes, mediaType) },
  })
export const basic = (user: string, password = PASSWORD): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

export async function startRegistry(
  dialect: TestDialect,
  env: Readonly<Record<string, string>> = {},
  more: Pick<LocalClusterOptions, 'onLog'> = {},
): Promise<Registry> {
  await using started = new AsyncDisposableStack()
  const server = started.use(await startCluster({ name: 'registry', dialect, env, ...more }))
  const { signal } = new AbortController()
  await server.api.call(
    'POST',
    '/repository/api/project/create',
    { name: 'demo', displayName: 'demo', description: '' },
    signal,
  )
  for (const [name, open] of [
    ['images', false],
    ['others', true],
  ] as const) {
    const body = { projectId: 'demo', name, type: 'DOCKER', category: 'LOCAL', public: open }
    await server.api.call('POST', '/repository/api/repo/create', body, signal)
  }
  const held = started.move()
  let made = 0

  const registry: Registry = {
    server,
    fresh: () => `demo/images/image${++made}`,
    user: (name) => basic(name, `${PASSWORD}-${name}`),
    async call(method, target, { headers = {}, body, authorization = basic('admin') } = {}) {
      const url = new URL(target, server.url)
      const login: Record<string, string> = authorization === '' ? {} : { authorization }
      const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }
      const answer = await fetch(url, { method, headers: { ...login, ...headers }, redirect: 'manual', ...sent })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '') && bytes.length > 0
      const json = isJson ? JSON.parse(bytes.toString()) : undefined
      return { status: answer.status, headers: answer.headers, body: bytes, json, code: json?.errors?.[0]?.code }
    },
    async pushBlob(name, bytes, digest = digestOf(bytes)) {
      const begun = await registry.call('POST', `/v2/${name}/blobs/uploads/`)
      return registry.call('PUT', withDigest(begun.headers.get('location')!, digest), {
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes,
      })
    },
    pushManifest: (name, reference, { bytes, mediaType }) =>
      registry.call('PUT', `/v2/${name}/manifests/${reference}`, {
        headers: { 'content-type': mediaType },
        body: bytes,
      }),
    async pushImage(name, tag, more = {}) {
      const [config, layer] = [
        Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', made: ++made })),
        Buffer.from(`layer ${made}`),
      ]
      for (const blob of [config, layer]) expectCreated(await registry.pushBlob(name, blob))
      const image = imageOf(config, [layer], more)
      expectCreated(await registry.pushManifest(name, tag, image))
      return image
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
  return registry
}

/** What a client adds to a `Location`, which may have a query of its own. */
export const withDigest = (location: string, digest: string): string =>
  `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`

function expectCreated({ status, body }: RegistryAnswer): void {
  if (status !== 201) throw new Error(`a push was answered with ${status}: ${body.toString()}`)
}

/** Makes a user of the registry, with these actions on the repository `demo/<repo>`. */
export async function addUser(
  { server }: { readonly server: Pick<LocalCluster, 'api'> },
  name: string,
  repo: string,
  actions: readonly string[],
  includePattern: readonly string[] = [],
): Promise<string> {
  const { signal } = new AbortController()
  const account = { userId: name, name, pwd: `${PASSWORD}-${name}`, admin: false }
  await server.api.call('POST', '/auth/api/user/create', account, signal)
  await server.api.call(
    'POST',
    '/auth/api/permission/create',
    {
      ...{ resourceType: 'REPO', projectId: 'demo', permName: `${name} on ${repo}`, repos: [repo] },
      ...{ users: [name], roles: [], actions, includePattern, excludePattern: [] },
    },
    signal,
  )
  return basic(name, `${PASSWORD}-${name}`)
}
