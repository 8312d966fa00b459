import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type FormatFixture, formatContract } from '../../src/formats/format.contract.ts'
import { dockerFormat, ociFormat } from '../../src/formats/oci/format.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { CONFIG, digestOf, imageOf, LAYER, MANIFEST, manifestOf, type PushedManifest } from '../helpers/registry.ts'

const IMAGE = 'team/web'

async function start(dialect: TestDialect, type: 'DOCKER' | 'OCI') {
  const server = await startCluster({ name: 'images', dialect })
  const { signal } = new AbortController()
  const project = { name: 'proj', displayName: 'proj', description: '' }
  await server.api.call('POST', '/repository/api/project/create', project, signal)
  await server.api.call(
    'POST',
    '/repository/api/repo/create',
    { projectId: 'proj', name: 'repo', type, category: 'LOCAL' },
    signal,
  )
  return { server, repository: 'proj/repo', [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}
const send = (
  server: LocalCluster,
  method: string,
  path: string,
  body?: Buffer,
  headers: Record<string, string> = {},
) =>
  fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: server.api.authorization, ...headers },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  })
async function pushBlob(server: LocalCluster, repository: string, bytes: Buffer): Promise<void> {
  const url = `/v2/${repository}/${IMAGE}/blobs/uploads/?digest=${digestOf(bytes)}`
  const { status } = await send(server, 'POST', url, bytes, { 'content-type': 'application/octet-stream' })
  assert.equal(status, 201)
}
const config = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', created: '2026-01-02T03:04:05Z' }))
const imageWith = (text: string): PushedManifest => imageOf(config, [Buffer.from(text)])
const [first, second] = [imageWith('layer 1'), imageWith('layer 2')]
const put = (server: LocalCluster, repository: string, reference: string, { bytes, mediaType }: PushedManifest) =>
  send(server, 'PUT', `/v2/${repository}/${IMAGE}/manifests/${reference}`, bytes, { 'content-type': mediaType })

/** By digest: a name that only one content can have, as the contract wants it. A tag may move. */
const fixtureOf = (format: FormatFixture['format']): FormatFixture => ({
  ...{ format, packageKey: `${format.type.toLowerCase()}://${IMAGE}`, version: first.digest },
  bytesOf: (variant) => (variant === 1 ? first : second).bytes,
  async publish(server, repository, variant) {
    for (const bytes of [config, Buffer.from(`layer ${variant}`)]) await pushBlob(server, repository, bytes)
    return (await put(server, repository, first.digest, variant === 1 ? first : second)).status
  },
  async install(server, repository) {
    const answer = await send(server, 'GET', `/v2/${repository}/${IMAGE}/manifests/${first.digest}`)
    return answer.status === 404 ? undefined : Buffer.from(await answer.arrayBuffer())
  },
})

eachDialect('images as packages', (dialect) => {
  formatContract(fixtureOf(dockerFormat), () => start(dialect, 'DOCKER'))
  if (dialect === 'sqlite') formatContract(fixtureOf(ociFormat), () => start(dialect, 'OCI'))

  it('given tags, when asked by the package API, then versions tell size, digest, platform and creation; what has no tag is not among them', async (t) => {
    await using on = await start(dialect, 'DOCKER')
    const { server, repository } = on
    for (const text of [config, 'layer 1', 'layer 2']) await pushBlob(server, repository, Buffer.from(text))
    for (const one of [first, second]) assert.equal((await put(server, repository, '1.0', one)).status, 201)
    const index = manifestOf({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      ...{ manifests: [{ mediaType: MANIFEST, digest: first.digest, size: first.bytes.length }] },
    } as never)
    assert.equal((await put(server, repository, 'multi', index)).status, 201)
    const get = <T>(path: string) => server.api.call<T>('GET', path, undefined, t.signal)
    const key = `packageKey=${encodeURIComponent(`docker://${IMAGE}`)}`
    const info = await get<{ latest: string; versions: number }>(`/repository/api/package/info/${repository}?${key}`)
    assert.deepEqual([info.latest, info.versions], ['multi', 2])
    interface Version {
      readonly name: string
      readonly size: number
      readonly metadata: object
      readonly extension: object
      readonly manifestPath: string
    }
    const { records } = await get<{ records: Version[] }>(`/repository/api/version/page/${repository}?${key}`)
    const bytes = config.length + 'layer 1'.length
    assert.deepEqual(
      records.map(({ name, size, metadata, manifestPath }) => ({ name, size, metadata, manifestPath })),
      [
        {
          ...{ name: 'multi', size: bytes, metadata: { manifest_digest: index.digest } },
          manifestPath: `/${IMAGE}/manifest/multi/list.manifest.json`,
        },
        {
          ...{ name: '1.0', size: bytes, metadata: { manifest_digest: second.digest } },
          manifestPath: `/${IMAGE}/manifest/1.0/manifest.json`,
        },
      ],
    )
    const detail = await get<{ basic: { sha256: string }; extension: object; files: { role: string }[] }>(
      `/docker/ext/version/detail/${repository}?${key}&version=1.0`,
    )
    assert.equal(`sha256:${detail.basic.sha256}`, second.digest)
    assert.deepEqual(detail.extension, {
      ...{ mediaType: MANIFEST, digest: second.digest, artifactType: CONFIG, created: '2026-01-02T03:04:05Z' },
      config: { mediaType: CONFIG, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: LAYER, digest: digestOf('layer 2'), size: 7 }],
      platforms: [{ os: 'linux', architecture: 'amd64' }],
    })
    assert.deepEqual(
      detail.files.map(({ role }) => role),
      ['layer', 'config', 'main'],
    )
  })

  it('given a pull that has begun, when the manifest and its blob are deleted, then the pull ends well', async () => {
    await using on = await start(dialect, 'DOCKER')
    const { server, repository } = on
    const layer = Buffer.alloc(8 * 1024 * 1024, 'x')
    const image = imageOf(config, [layer])
    for (const bytes of [config, layer]) await pushBlob(server, repository, bytes)
    await put(server, repository, '1.0', image)
    const pull = await send(server, 'GET', `/v2/${repository}/${IMAGE}/blobs/${digestOf(layer)}`)
    const reader = pull.body!.getReader()
    const chunks = [(await reader.read()).value!]
    assert.equal((await send(server, 'DELETE', `/v2/${repository}/${IMAGE}/manifests/${image.digest}`)).status, 202)
    assert.equal((await send(server, 'DELETE', `/v2/${repository}/${IMAGE}/blobs/${digestOf(layer)}`)).status, 202)
    for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value)
    assert.equal(digestOf(Buffer.concat(chunks)), digestOf(layer))
    assert.equal((await send(server, 'GET', `/v2/${repository}/${IMAGE}/blobs/${digestOf(layer)}`)).status, 404)
  })

  it('given a pulled manifest, when asked with its ETag, then 304; HEAD tells its length', async () => {
    await using on = await start(dialect, 'DOCKER')
    const { server, repository } = on
    for (const bytes of [config, Buffer.from('layer 1')]) await pushBlob(server, repository, bytes)
    await put(server, repository, '1.0', first)
    const url = `/v2/${repository}/${IMAGE}/manifests/1.0`
    const pull = await send(server, 'GET', url)
    assert.equal(pull.headers.get('docker-content-digest'), first.digest)
    assert.equal(pull.headers.get('content-type'), MANIFEST)
    assert.equal(pull.headers.get('content-length'), String(first.bytes.length))
    const etag = pull.headers.get('etag')!
    assert.equal((await send(server, 'GET', url, undefined, { 'if-none-match': etag })).status, 304)
    const head = await send(server, 'HEAD', url)
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(first.bytes.length)])
  })
})
