import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, it } from 'node:test'
import { importCalls } from '../helpers/image-imports.ts'
import { createImageRepository, putBlob, putManifest, seedImage, seedIndex } from '../helpers/image-proxies.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { addUser, digestOf, EMPTY, type Registry, signatureOf, startRegistry } from '../helpers/registry.ts'
import { type ScriptedRegistry, scriptedRegistry } from '../helpers/scripted-registry.ts'

eachDialect('imports from other registries', (dialect) => {
  let on: Registry
  let source: ScriptedRegistry
  let calls: ReturnType<typeof importCalls>
  const log: string[] = []
  let made = 0
  before(async () => {
    const onLog = (line: string) => void log.push(line)
    on = await startRegistry(dialect, { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' }, { onLog })
    source = await scriptedRegistry()
    calls = importCalls(on)
  })
  after(async () => {
    await on[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
  })
  const fresh = () => ({ name: `import${++made}`, image: `team/app${made}` })
  const bytesOf = async (image: string, reference: string) =>
    (await on.call('GET', `/v2/demo/images/${image}/manifests/${reference}`)).body

  it('given an image with several tags, when imported without versions, then all are here, with blobs, records and details', async () => {
    const { name, image } = fresh()
    const shared = Buffer.alloc(100_000, 'shared')
    const one = seedImage(source, image, '1', { layers: [shared, Buffer.from('one')] })
    const two = seedImage(source, image, '2', { layers: [shared, Buffer.from('two')] })
    const { taskKey, record } = await calls.run({ name, registry: source.url, packageName: image, versions: [] })
    assert.equal(record.status, 'SUCCESS', record.errorReason)
    assert.equal(record.replicaOverview.success, 2)
    assert.equal(record.taskKey, taskKey)
    assert.equal(record.replicatedBytes, record.totalBytes)
    assert.ok(record.replicatedBytes >= 100_000)
    assert.deepEqual(await bytesOf(image, '1'), one.bytes)
    assert.deepEqual(await bytesOf(image, '2'), two.bytes)
    for (const blob of [one.config, ...one.layers, ...two.layers]) {
      const answer = await on.call('GET', `/v2/demo/images/${image}/blobs/${digestOf(blob)}`)
      assert.deepEqual(answer.body, blob)
    }
    assert.equal(source.asked.filter((asked) => asked === `GET /v2/${image}/blobs/${digestOf(shared)}`).length, 1)
    const details = await calls.details(record.id)
    assert.deepEqual(details.map(({ artifactName, version, status }) => [artifactName, version, status]).sort(), [
      [image, '1', 'SUCCESS'],
      [image, '2', 'SUCCESS'],
    ])
    assert.ok(details.every(({ size }) => (size ?? 0) > 0))
    const shown = await on.call('GET', `/replication/api/task/record/${record.id}`)
    assert.equal(shown.json.data.record.id, record.id)
  })

  it('given what was imported, when imported again, then nothing is fetched but heads; a moved tag is brought anew', async () => {
    const { name, image } = fresh()
    const old = seedImage(source, image, 'a')
    seedImage(source, image, 'b')
    await calls.run({ name, registry: source.url, packageName: image })
    const before = source.asked.length
    await calls.execute(name)
    const again = await calls.ended(name)
    assert.deepEqual([again.status, again.replicaOverview.success, again.replicaOverview.skip], ['SUCCESS', 0, 2])
    assert.deepEqual(
      source.asked.slice(before).filter((asked) => /^GET .*(manifests|blobs)\//.test(asked)),
      [],
    )
    const next = seedImage(source, image, 'a', { layers: [Buffer.from('moved')] })
    await calls.execute(name)
    const third = await calls.ended(name)
    assert.equal(third.replicaOverview.success, 1)
    assert.deepEqual(await bytesOf(image, 'a'), next.bytes)
    assert.deepEqual(await bytesOf(image, old.digest), old.bytes)
  })

  it('given an index and referrers, when imported, then children and signatures come along, those of children too', async () => {
    const { name, image } = fresh()
    const children = [
      seedImage(source, image, undefined, { architecture: 'amd64' }),
      seedImage(source, image, undefined, { architecture: 'arm64', layers: [Buffer.from('arm')] }),
    ]
    const index = seedIndex(source, image, 'multi', children)
    putBlob(source, image, EMPTY)
    const [ofIndex, ofChild] = [signatureOf(index, 'index'), signatureOf(children[1]!, 'child')]
    const ofSignature = signatureOf(ofIndex, 'signature')
    for (const one of [ofIndex, ofChild, ofSignature]) putManifest(source, image, one)
    const { record } = await calls.run({
      name,
      registry: source.url,
      packageName: `docker://${image}`,
      versions: ['multi'],
    })
    assert.equal(record.status, 'SUCCESS', record.errorReason)
    assert.deepEqual(await bytesOf(image, 'multi'), index.bytes)
    for (const one of [...children, ofIndex, ofChild, ofSignature])
      assert.deepEqual(await bytesOf(image, one.digest), one.bytes)
    const tags = await on.call('GET', `/v2/demo/images/${image}/tags/list`)
    assert.deepEqual(tags.json.tags, ['multi'])
    const late = signatureOf(index, 'late')
    putManifest(source, image, late)
    await calls.execute(name)
    assert.equal((await calls.ended(name)).status, 'SUCCESS')
    assert.deepEqual(await bytesOf(image, late.digest), late.bytes)
  })

  it('given a tag that is not there and a blob that is wrong, when imported, then those FAILED with words, the others are here', async () => {
    const { name, image } = fresh()
    const good = seedImage(source, image, 'good')
    const bad = seedImage(source, image, 'bad', { layers: [Buffer.from('expected')] })
    source.blobs.set(`${image}@${digestOf('expected')}`, Buffer.from('surprise'))
    const { record } = await calls.run({
      name,
      registry: source.url,
      packageName: image,
      versions: ['good', 'bad', 'none'],
    })
    assert.equal(record.status, 'FAILED')
    assert.deepEqual([record.replicaOverview.success, record.replicaOverview.failed], [1, 2])
    const reasons = new Map(
      (await calls.details(record.id)).map(({ version, errorReason }) => [version, errorReason ?? '']),
    )
    assert.match(reasons.get('none')!, /has no \[/)
    assert.match(reasons.get('bad')!, /asked for sha256:/)
    assert.deepEqual(await bytesOf(image, 'good'), good.bytes)
    assert.equal((await on.call('HEAD', `/v2/demo/images/${image}/manifests/bad`)).status, 404)
    source.blobs.set(`${image}@${digestOf('expected')}`, Buffer.from('expected'))
    await calls.execute(name)
    await calls.ended(name)
    assert.deepEqual(await bytesOf(image, 'bad'), bad.bytes)
  })

  it('given a registry without the image, when imported, then FAILED and the detail names the package', async () => {
    const { name } = fresh()
    const { record } = await calls.run({ name, registry: source.url, packageName: 'nobody/has' })
    assert.equal(record.status, 'FAILED')
    assert.match(record.errorReason, /nobody\/has/)
  })

  it('given an outage in the middle, when the registry comes back, then the import goes on by itself', async () => {
    const { name, image } = fresh()
    for (const tag of ['1', '2', '3', '4', '5', '6']) seedImage(source, image, tag)
    let broken = 40
    source.script(({ url }) =>
      url?.includes('/blobs/') && broken-- > 0 ? { status: 503, headers: { 'retry-after': '0' } } : undefined,
    )
    const { record } = await calls.run({ name, registry: source.url, packageName: image })
    source.script(() => undefined)
    assert.equal(record.status, 'SUCCESS', record.errorReason)
    assert.equal(record.replicaOverview.success, 6)
  })

  it('given many creations of one name at once, when all are answered, then there is one import, and none is a fault of ours', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const body = { name, registry: source.url, packageName: image }
    const answers = await Promise.all(Array.from({ length: 8 }, () => calls.create(body)))
    const told = JSON.stringify(answers.map(({ json }) => json))
    assert.ok(
      answers.every(({ status }) => status === 200 || status === 400),
      told,
    )
    const keys = answers.filter(({ status }) => status === 200).map(({ json }) => json.data.taskKey)
    assert.equal(new Set(keys).size, 1, told)
  })
  it('given bad requests, when sent, then they are refused with words, and nothing is stored', async () => {
    const { name, image } = fresh()
    const cases: [object, number, RegExp][] = [
      [{ registry: source.url, packageName: image }, 400, /name/],
      [{ name, packageName: image }, 400, /registry/],
      [{ name: '1x', registry: source.url, packageName: image }, 400, /name/],
      [{ name, registry: source.url, versions: ['1'] }, 400, /packageName/],
      [{ name, registry: source.url, packageName: 'Team/App' }, 400, /\[packageName\].*\[Team\/App\] is no image name/],
      [{ name, registry: source.url, packageName: image, versions: ['a b'] }, 400, /\[versions\].*\[a b\] is no tag/],
      [{ name, registry: 'http://169.254.169.254/', packageName: image }, 400, /registry/],
      [{ name, registry: 'http://127.0.0.1:1', packageName: image }, 400, /connect/],
    ]
    for (const [body, status, words] of cases) {
      const answer = await calls.create(body)
      assert.equal(answer.status, status, answer.body.toString())
      assert.match(answer.json.message, words)
    }
    assert.equal((await calls.status(name)).status, 400)
    assert.equal((await calls.execute(name)).status, 400)
    await createImageRepository(on, `hub${made}`, 'REMOTE', { url: source.url })
    const remote = await importCalls(on, `hub${made}`).create({ name, registry: source.url, packageName: image })
    assert.equal(remote.status, 400)
    assert.match(remote.json.message, /REMOTE/)
  })

  it('given callers without WRITE, when they try, then 403; with it they import, and the password is nowhere shown', async () => {
    await using guarded = await scriptedRegistry({ auth: 'bearer', clock: { now: Date.now } })
    const { name, image } = fresh()
    const seeded = seedImage(guarded, image, '1')
    const reader = await addUser(on, `reads${made}`, 'images', ['READ'])
    const writer = await addUser(on, `writes${made}`, 'images', ['WRITE', 'READ'])
    const body = { name, registry: guarded.url, packageName: image, username: 'pusher', password: 'p:ss/w+rd' }
    assert.equal((await calls.create(body, reader)).status, 403)
    const created = await calls.create(body, writer)
    assert.equal(created.status, 200, created.body.toString())
    assert.equal((await calls.execute(name, reader)).status, 403)
    assert.equal((await calls.execute(name, writer)).status, 200)
    const record = await calls.ended(name)
    assert.equal(record.status, 'SUCCESS', record.errorReason)
    assert.deepEqual(await bytesOf(image, '1'), seeded.bytes)
    for (const path of [
      '/replication/api/task/page/demo',
      `/replication/api/task/record/${record.id}`,
      '/replication/api/cluster/list',
    ]) {
      assert.doesNotMatch((await on.call('GET', path)).body.toString(), /w\+rd/)
    }
    assert.doesNotMatch(log.join(''), /w\+rd|w%2Brd/i)
    const detail = await on.call('GET', `/docker/ext/version/detail/demo/images?packageKey=docker://${image}&version=1`)
    assert.match(detail.body.toString(), new RegExp(`writes${made}`))
  })

  it('given an import, when deleted, then task, records and its registry are gone, what it brought stays; twice is fine', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const { record } = await calls.run({ name, registry: source.url, packageName: image })
    assert.equal((await calls.remove(name)).status, 200)
    assert.equal((await calls.remove(name)).status, 200)
    assert.equal((await calls.status(name)).status, 400)
    assert.deepEqual(await calls.details(record.id), [])
    const clusters = await on.call('GET', '/replication/api/cluster/list')
    assert.doesNotMatch(clusters.body.toString(), new RegExp(`import/${name}"`))
    assert.equal((await on.call('HEAD', `/v2/demo/images/${image}/manifests/1`)).status, 200)
  })

  it('given an import, when its task is deleted as a task, then the node of its registry goes too, and its name is free', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const body = { name, registry: source.url, packageName: image, username: 'someone', password: 'kept secret' }
    const { taskKey } = (await calls.create(body)).json.data
    assert.equal((await on.call('DELETE', `/replication/api/task/delete/${taskKey}`)).status, 200)
    const nodes = await on.call('GET', '/replication/api/cluster/list?type=REMOTE')
    assert.doesNotMatch(nodes.body.toString(), new RegExp(`import/${name}"`))
    assert.equal((await calls.create(body)).status, 200)
  })

  it('given an import that has not run, when its task is shown, then nobody knows how much it is', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const { taskKey } = (await calls.create({ name, registry: source.url, packageName: image })).json.data
    const { json } = await on.call('GET', `/replication/api/task/info/${taskKey}`)
    assert.equal(json.data.totalBytes, -1)
  })

  it('given an import, when its task is planned, copied or changed as a task of ours, then that is refused with words', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const created = await calls.create({ name, registry: source.url, packageName: image })
    const key = created.json.data.taskKey
    const headers = { 'content-type': 'application/json' }
    const task = '/replication/api/task'
    const plan = await on.call('GET', `${task}/plan/${key}`)
    assert.match(plan.json.message, /import/)
    const copy = await on.call('POST', `${task}/copy`, { headers, body: JSON.stringify({ key, name: `copy${made}` }) })
    assert.match(copy.json.message, /import/)
    const listed = await on.call('GET', '/replication/api/remote/distribution/info/demo/images')
    assert.deepEqual(listed.json.data, [])
  })

  it('given ping=false, when created, then the registry is not asked; a run finds it', async () => {
    const { name, image } = fresh()
    seedImage(source, image, '1')
    const before = source.asked.length
    await calls.create({ name, registry: source.url, packageName: image, ping: false })
    assert.equal(source.asked.length, before)
    await calls.execute(name)
    assert.equal((await calls.ended(name)).status, 'SUCCESS')
  })

  it('given another server of ours, when all of it is imported, then every image that its catalog shows is here', async () => {
    await createImageRepository(on, `from${++made}`, 'LOCAL')
    await createImageRepository(on, `to${made}`, 'LOCAL')
    const image = await on.pushImage(`demo/from${made}/a/b`, '1')
    await on.pushImage(`demo/from${made}/c`, 'x')
    const big = randomBytes(300_000)
    await on.pushBlob(`demo/from${made}/c`, big)
    const registry = `${on.server.url.replace(/\/$/, '')}/demo/from${made}`
    const to = importCalls(on, `to${made}`)
    const { record } = await to.run({ name: 'everything', registry, username: 'admin', password: on.server.password })
    assert.equal(record.status, 'SUCCESS', record.errorReason)
    assert.equal(record.replicaOverview.success, 2)
    assert.deepEqual((await on.call('GET', `/v2/demo/to${made}/a/b/manifests/1`)).body, image.bytes)
  })
})
