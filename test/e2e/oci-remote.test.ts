import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, it } from 'node:test'
import {
  age,
  claimsOf,
  createImageRepository,
  putBlob,
  putManifest,
  seedImage,
  seedIndex,
} from '../helpers/image-proxies.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import {
  addUser,
  descriptor,
  digestOf,
  EMPTY,
  EMPTY_TYPE,
  imageOf,
  MANIFEST,
  manifestOf,
  type Registry,
  startRegistry,
} from '../helpers/registry.ts'
import { type ScriptedRegistry, scriptedRegistry } from '../helpers/scripted-registry.ts'

/** Takes connections and never answers. */
async function hangingServer() {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const USER = 'pusher'
const PASSWORD = 'p:ss/w+rd'

eachDialect('REMOTE repositories of images', (dialect) => {
  let on: Registry
  let upstream: ScriptedRegistry
  let made = 0
  before(async () => {
    on = await startRegistry(dialect, {
      ...{ ENTREPOT_PROXY_ABSENT_MS: '100', ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' },
    })
    upstream = await scriptedRegistry()
  })
  after(async () => {
    await on[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })
  /** A repository of its own, and an image name of its own. */
  async function remote(configuration: object = {}) {
    const repo = `remote${++made}`
    await createImageRepository(on, repo, 'REMOTE', { url: upstream.url, ...configuration })
    upstream.script(() => undefined)
    return { repo, image: `team/app${made}`, at: `/v2/demo/${repo}/team/app${made}` }
  }
  const askedFor = (method: string, path: string) => upstream.asked.filter((one) => one === `${method} ${path}`).length

  it('given an image of the upstream, when pulled, then manifest and blobs are its bytes, and later ones come from here', async () => {
    const { image, at } = await remote()
    const seeded = seedImage(upstream, image, '1.0')
    const first = await on.call('GET', `${at}/manifests/1.0`)
    assert.equal(first.status, 200, first.body.toString())
    assert.deepEqual(first.body, seeded.bytes)
    assert.equal(first.headers.get('content-type'), MANIFEST)
    assert.equal(first.headers.get('docker-content-digest'), seeded.digest)
    assert.match(first.headers.get('cache-status') ?? '', /fwd=miss; stored/)
    for (const blob of [seeded.config, ...seeded.layers]) {
      const answer = await on.call('GET', `${at}/blobs/${digestOf(blob)}`)
      assert.equal(answer.status, 200, answer.body.toString())
      assert.deepEqual(answer.body, blob)
      assert.equal(answer.headers.get('docker-content-digest'), digestOf(blob))
    }
    const before = upstream.asked.length
    for (const path of ['manifests/1.0', `manifests/${seeded.digest}`, `blobs/${digestOf(seeded.config)}`]) {
      const again = await on.call('GET', `${at}/${path}`)
      assert.equal(again.status, 200)
      assert.match(again.headers.get('cache-status') ?? '', /; hit$/)
    }
    assert.equal(upstream.asked.length, before)
  })

  it('given what was pulled, when looked at, then the version claims it all and says sourceType=PROXY and its platform', async () => {
    const { repo, image, at } = await remote()
    const seeded = seedImage(upstream, image, 'whole')
    await on.call('GET', `${at}/manifests/whole`)
    for (const blob of [seeded.config, ...seeded.layers]) await on.call('GET', `${at}/blobs/${digestOf(blob)}`)
    const claims = await claimsOf(on, 'whole', 3)
    assert.equal(claims.at(-1), `/${image}/manifest/whole/manifest.json`)
    const detail = await on.call(
      'GET',
      `/docker/ext/version/detail/demo/${repo}?packageKey=docker://${image}&version=whole`,
    )
    const text = detail.body.toString()
    assert.match(text, /sourceType/)
    assert.match(text, /amd64/)
    // Nothing of it is loose any more than a push leaves it.
    const gone = await on.server.db.read
      .selectFrom('node')
      .where('path', 'like', `/${image}/blobs/%`)
      .select('path')
      .execute()
    assert.equal(gone.length, 2)
  })

  it('given many clients at once, when they pull one blob, then the upstream is asked once and all get it', async () => {
    const { image, at } = await remote()
    const blob = Buffer.alloc(3 * 1024 * 1024, 'many ')
    const digest = putBlob(upstream, image, blob)
    const answers = await Promise.all(Array.from({ length: 12 }, () => on.call('GET', `${at}/blobs/${digest}`)))
    for (const { status, body } of answers) {
      assert.equal(status, 200)
      assert.equal(digestOf(body), digest)
    }
    assert.equal(askedFor('GET', `/v2/${image}/blobs/${digest}`), 1)
    const part = await on.call('GET', `${at}/blobs/${digest}`, { headers: { range: 'bytes=5-9' } })
    assert.equal(part.status, 206)
    assert.equal(part.body.toString(), 'many ')
  })

  it('given HEAD and Range on a miss, when asked, then HEAD fetches nothing and Range answers a part of the whole', async () => {
    const { image, at } = await remote()
    const digest = putBlob(upstream, image, Buffer.from('0123456789 of one'))
    const head = await on.call('HEAD', `${at}/blobs/${digest}`)
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('content-length'), '17')
    assert.equal(head.headers.get('docker-content-digest'), digest)
    const part = await on.call('GET', `${at}/blobs/${digest}`, { headers: { range: 'bytes=2-4' } })
    assert.equal(part.status, 206)
    assert.equal(part.body.toString(), '234')
  })

  it('given an index, when pulled, then it is byte-identical, its children come when they are asked for, and it claims them then', async () => {
    const { image, at } = await remote()
    const [amd, arm] = [
      seedImage(upstream, image, undefined, { architecture: 'amd64' }),
      seedImage(upstream, image, undefined, { architecture: 'arm64', layers: [Buffer.from('other')] }),
    ]
    const index = seedIndex(upstream, image, 'multi', [amd, arm])
    const answer = await on.call('GET', `${at}/manifests/multi`)
    assert.deepEqual(answer.body, index.bytes)
    assert.equal(askedFor('GET', `/v2/${image}/manifests/${amd.digest}`), 0)
    assert.equal((await claimsOf(on, 'multi', 1))[0], `/${image}/manifest/multi/list.manifest.json`)
    const child = await on.call('GET', `${at}/manifests/${arm.digest}`)
    assert.deepEqual(child.body, arm.bytes)
    for (const blob of [arm.config, ...arm.layers]) await on.call('GET', `${at}/blobs/${digestOf(blob)}`)
    assert.equal((await claimsOf(on, 'multi', 4)).length, 4)
    assert.equal(askedFor('GET', `/v2/${image}/manifests/${amd.digest}`), 0)
    const tags = await on.call('GET', `${at}/tags/list`)
    assert.deepEqual(tags.json.tags, ['multi'])
  })

  it('given a tag that moved upstream, when its time is over, then the new one is served, and the old one by its digest', async () => {
    const { image, at } = await remote({ cache: { expiration: 5 } })
    const old = seedImage(upstream, image, 'latest')
    await on.call('GET', `${at}/manifests/latest`)
    const next = seedImage(upstream, image, 'latest', { layers: [Buffer.from('next')] })
    assert.deepEqual((await on.call('GET', `${at}/manifests/latest`)).body, old.bytes)
    await age(on)
    const moved = await on.call('GET', `${at}/manifests/latest`)
    assert.deepEqual(moved.body, next.bytes)
    assert.deepEqual((await on.call('GET', `${at}/manifests/${old.digest}`)).body, old.bytes)
    const gets = askedFor('GET', `/v2/${image}/manifests/latest`)
    await age(on)
    const same = await on.call('GET', `${at}/manifests/latest`)
    assert.match(same.headers.get('cache-status') ?? '', /fwd-status=304/)
    assert.equal(askedFor('GET', `/v2/${image}/manifests/latest`), gets)
  })

  it('given an upstream that fails, is slow, or has the tag no more, when the time of what is here is over, then that is served', async () => {
    const { image, at } = await remote({ cache: { expiration: 5 } })
    const seeded = seedImage(upstream, image, 'kept')
    await on.call('GET', `${at}/manifests/kept`)
    for (const status of [500, 404, 401]) {
      await age(on)
      upstream.script(({ url }) => (url?.includes('/manifests/') ? { status } : undefined))
      const stale = await on.call('GET', `${at}/manifests/kept`)
      assert.equal(stale.status, 200)
      assert.deepEqual(stale.body, seeded.bytes)
      assert.match(stale.headers.get('cache-status') ?? '', /upstream-gave-no-answer/)
      await new Promise((resolve) => setTimeout(resolve, 120))
    }
  })

  it('given 429, when nothing is here, then the client is told so with Retry-After; what is here is served', async () => {
    const { image, at } = await remote({ cache: { expiration: 5 } })
    const seeded = seedImage(upstream, image, 'a')
    await on.call('GET', `${at}/manifests/a`)
    await age(on)
    upstream.script(() => ({ status: 429, headers: { 'retry-after': '120' } }))
    const refused = await on.call('GET', `${at}/manifests/b`)
    assert.equal(refused.status, 429)
    assert.equal(refused.code, 'TOOMANYREQUESTS')
    assert.equal(refused.headers.get('retry-after'), '120')
    const before = upstream.asked.length
    assert.deepEqual((await on.call('GET', `${at}/manifests/a`)).body, seeded.bytes)
    assert.equal(upstream.asked.length, before, 'an upstream that wants to be left alone was asked')
  })

  it('given a blob that is not what its name says, or breaks off for good, when pulled, then it never comes whole and nothing stays', async () => {
    const { image, at } = await remote()
    const [right, wrong] = [Buffer.from('what it should be'), Buffer.from('what it is, alas!')]
    upstream.blobs.set(`${image}@${digestOf(right)}`, wrong)
    await assert.rejects(
      on.call('GET', `${at}/blobs/${digestOf(right)}`).then(({ status }) => assert.equal(status, 200)),
    )
    const rows = await on.server.db.read.selectFrom('loose_blob').where('image', '=', image).selectAll().execute()
    assert.deepEqual(rows, [])
    upstream.blobs.set(`${image}@${digestOf(right)}`, right)
    assert.deepEqual((await on.call('GET', `${at}/blobs/${digestOf(right)}`)).body, right)
  })

  it('given a connection that breaks in the middle of a blob, when pulled, then it goes on with Range and the client gets all of it', async () => {
    const { image, at } = await remote()
    const blob = Buffer.alloc(2 * 1024 * 1024, 'abc')
    const digest = putBlob(upstream, image, blob)
    upstream.script(({ url }, nth) => (url?.includes(digest) && nth === 1 ? { cutAnswerAfter: 700_000 } : undefined))
    const answer = await on.call('GET', `${at}/blobs/${digest}`)
    assert.equal(digestOf(answer.body), digest)
    assert.ok(upstream.requests.some(({ url, headers }) => url?.includes(digest) && headers.range !== undefined))
  })

  it('given a manifest that is not its digest, when pulled by that, then 502 and nothing stays', async () => {
    const { image, at } = await remote()
    const seeded = seedImage(upstream, image, undefined)
    upstream.manifests.set(`${image}@${seeded.digest}`, { bytes: Buffer.from('{"schemaVersion":2}'), type: MANIFEST })
    const answer = await on.call('GET', `${at}/manifests/${seeded.digest}`)
    assert.equal(answer.status, 502)
    assert.match(answer.body.toString(), /in place of/)
  })

  it('given what the upstream does not have, when asked for, then 404 in the words of the specification', async () => {
    const { at } = await remote()
    const manifest = await on.call('GET', `${at}/manifests/none`)
    assert.deepEqual([manifest.status, manifest.code], [404, 'MANIFEST_UNKNOWN'])
    const blob = await on.call('GET', `${at}/blobs/${digestOf('none')}`)
    assert.deepEqual([blob.status, blob.code], [404, 'BLOB_UNKNOWN'])
    const tags = await on.call('GET', `${at}/tags/list`)
    assert.deepEqual([tags.status, tags.code], [404, 'NAME_UNKNOWN'])
  })

  it('given tags and referrers upstream, when listed, then they are here, and what was pulled is when the upstream is away', async () => {
    const { image, at } = await remote()
    const seeded = seedImage(upstream, image, 'one')
    seedImage(upstream, image, 'two')
    putBlob(upstream, image, EMPTY)
    const signature = manifestOf({
      ...{ mediaType: MANIFEST, artifactType: 'application/vnd.example.signature' },
      ...{ config: descriptor(EMPTY, EMPTY_TYPE), layers: [] },
      subject: { mediaType: MANIFEST, digest: seeded.digest, size: seeded.bytes.length },
    })
    putManifest(upstream, image, signature)
    await on.call('GET', `${at}/manifests/one`)
    assert.deepEqual((await on.call('GET', `${at}/tags/list`)).json.tags, ['one', 'two'])
    const page = await on.call('GET', `${at}/tags/list?n=1`)
    assert.deepEqual(page.json.tags, ['one'])
    assert.match(page.headers.get('link') ?? '', /last=one/)
    const referrers = await on.call('GET', `${at}/referrers/${seeded.digest}`)
    assert.deepEqual(
      referrers.json.manifests.map(({ digest }: { digest: string }) => digest),
      [signature.digest],
    )
    await on.call('GET', `${at}/manifests/${signature.digest}`)
    upstream.script(() => ({ status: 500 }))
    await new Promise((resolve) => setTimeout(resolve, 120))
    assert.deepEqual((await on.call('GET', `${at}/tags/list`)).json.tags, ['one'])
    const kept = await on.call('GET', `${at}/referrers/${seeded.digest}`)
    assert.deepEqual(
      kept.json.manifests.map(({ digest }: { digest: string }) => digest),
      [signature.digest],
    )
  })

  it('given pushes, when sent to a REMOTE repository, then 405 UNSUPPORTED with words', async () => {
    const { at } = await remote()
    const upload = await on.call('POST', `${at}/blobs/uploads/`)
    assert.deepEqual([upload.status, upload.code], [405, 'UNSUPPORTED'])
    assert.match(upload.body.toString(), /takes no pushes/)
    const config = Buffer.from('{}')
    const put = await on.call('PUT', `${at}/manifests/x`, {
      headers: { 'content-type': MANIFEST },
      body: imageOf(config, []).bytes,
    })
    assert.deepEqual([put.status, put.code], [405, 'UNSUPPORTED'])
  })

  it('given cache.enabled=false, when pulled, then all passes through and nothing is kept', async () => {
    const { image, at } = await remote({ cache: { enabled: false } })
    const seeded = seedImage(upstream, image, '1.0')
    for (let times = 1; times <= 2; times++) {
      assert.deepEqual((await on.call('GET', `${at}/manifests/1.0`)).body, seeded.bytes)
      assert.deepEqual((await on.call('GET', `${at}/blobs/${digestOf(seeded.config)}`)).body, seeded.config)
      assert.equal(askedFor('GET', `/v2/${image}/manifests/1.0`), times)
    }
    const head = await on.call('HEAD', `${at}/manifests/1.0`)
    assert.equal(head.headers.get('content-length'), String(seeded.bytes.length))
    const nodes = await on.server.db.read
      .selectFrom('node')
      .where('path', 'like', `/${image}%`)
      .select('path')
      .execute()
    assert.deepEqual(nodes, [])
  })

  it('given an upstream with tokens, when pulled with its login, then it works; the password is nowhere shown', async () => {
    await using guarded = await scriptedRegistry({
      auth: 'bearer',
      user: USER,
      password: PASSWORD,
      clock: { now: Date.now },
    })
    const repo = `remote${++made}`
    const credentials = { username: USER, password: PASSWORD }
    await createImageRepository(on, repo, 'REMOTE', { url: guarded.url, credentials })
    const seeded = seedImage(guarded, 'a/b', '1')
    const answer = await on.call('GET', `/v2/demo/${repo}/a/b/manifests/1`)
    assert.deepEqual(answer.body, seeded.bytes)
    assert.ok(guarded.asked.includes('GET /token'))
    const info = await on.call('GET', `/repository/api/repo/info/demo/${repo}`)
    assert.doesNotMatch(info.body.toString(), /w\+rd/)
  })

  it('given another server of ours as upstream, when an image is pulled, then it comes with all it has', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'x')
    const repo = `remote${++made}`
    await addUser(on, 'reader', 'images', ['READ'])
    const credentials = { username: 'reader', password: 'correct-horse-battery-reader' }
    await createImageRepository(on, repo, 'REMOTE', {
      url: `${on.server.url.replace(/\/$/, '')}/demo/images`,
      credentials,
    })
    const short = name.split('/').at(-1)
    const answer = await on.call('GET', `/v2/demo/${repo}/${short}/manifests/x`)
    assert.equal(answer.status, 200, answer.body.toString())
    assert.deepEqual(answer.body, image.bytes)
    const { layers } = JSON.parse(image.bytes.toString())
    const layer = await on.call('GET', `/v2/demo/${repo}/${short}/blobs/${layers[0].digest}`)
    assert.equal(digestOf(layer.body), layers[0].digest)
  })

  it('given a repository that leads back to itself, when pulled, then it ends with 502', async () => {
    const repo = `remote${++made}`
    const url = `${on.server.url.replace(/\/$/, '')}/demo/${repo}`
    await createImageRepository(on, repo, 'REMOTE', {
      url,
      credentials: { username: 'admin', password: 'correct-horse-battery' },
    })
    const answer = await on.call('GET', `/v2/demo/${repo}/x/manifests/1`)
    assert.equal(answer.status, 502)
    assert.match(answer.body.toString(), /leads back/)
  })

  it('given the path of a file, when asked for by the generic protocol, then the upstream is not asked; what is here is served', async () => {
    const { repo, image, at } = await remote()
    const seeded = seedImage(upstream, image, 'g')
    await on.call('GET', `${at}/manifests/g`)
    const before = upstream.asked.length
    const file = await on.call('GET', `/generic/demo/${repo}/${image}/manifest/g/manifest.json`)
    assert.deepEqual(file.body, seeded.bytes)
    assert.equal((await on.call('GET', `/generic/demo/${repo}/some/file`)).status, 404)
    assert.equal(upstream.asked.length, before)
  })

  it('given an upstream that says nothing, when the time of what is here is over, then that is served after two seconds at most', async () => {
    await using silent = await hangingServer()
    const { repo, image, at } = await remote({ cache: { expiration: 5 } })
    const seeded = seedImage(upstream, image, 'kept')
    await on.call('GET', `${at}/manifests/kept`)
    const configuration = { url: silent.url, cache: { expiration: 5 } }
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ configuration })
    const updated = await on.call('POST', `/repository/api/repo/update/demo/${repo}`, { headers, body })
    assert.equal(updated.status, 200, updated.body.toString())
    await age(on)
    const stale = await on.call('GET', `${at}/manifests/kept`)
    assert.deepEqual(stale.body, seeded.bytes)
    assert.match(stale.headers.get('cache-status') ?? '', /upstream-gave-no-answer/)
  })

  it('given a layer that another image has here, when pulled, then the upstream says that it is there and sends no bytes', async () => {
    const { repo, image, at } = await remote()
    const layer = Buffer.alloc(50_000, `layer of both ${image}`)
    const digest = putBlob(upstream, image, layer)
    putBlob(upstream, `${image}/two`, layer)
    await on.call('GET', `${at}/blobs/${digest}`)
    const other = await on.call('GET', `/v2/demo/${repo}/${image}/two/blobs/${digest}`)
    assert.deepEqual(other.body, layer)
    assert.equal(askedFor('HEAD', `/v2/${image}/two/blobs/${digest}`), 1)
    assert.equal(askedFor('GET', `/v2/${image}/two/blobs/${digest}`), 0)
    assert.equal((await on.call('GET', `/v2/demo/${repo}/${image}/three/blobs/${digest}`)).status, 404)
  })

  it('given what was pulled, when deleted here, then it is fetched again when it is asked for', async () => {
    const { image, at } = await remote()
    const seeded = seedImage(upstream, image, '1')
    await on.call('GET', `${at}/manifests/1`)
    assert.equal((await on.call('DELETE', `${at}/manifests/${seeded.digest}`)).status, 202)
    assert.deepEqual((await on.call('GET', `${at}/manifests/1`)).body, seeded.bytes)
    assert.equal(askedFor('GET', `/v2/${image}/manifests/1`), 2)
  })

  it('given a COMPOSITE repository with a channel, when pulled, then what users pushed comes first, all else is fetched', async () => {
    const repo = `remote${++made}`
    const channelList = [{ name: 'hub', url: upstream.url, public: true }]
    await createImageRepository(on, repo, 'COMPOSITE', { proxy: { channelList } })
    const theirs = seedImage(upstream, `comp${made}`, 'theirs')
    seedImage(upstream, `comp${made}`, 'both')
    const own = await on.pushImage(`demo/${repo}/comp${made}`, 'both')
    const at = `/v2/demo/${repo}/comp${made}`
    assert.deepEqual((await on.call('GET', `${at}/manifests/both`)).body, own.bytes)
    assert.deepEqual((await on.call('GET', `${at}/manifests/theirs`)).body, theirs.bytes)
    assert.deepEqual((await on.call('GET', `${at}/tags/list`)).json.tags, ['both', 'theirs'])
  })
})
