import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createImageRepository, putManifest, seedImage } from '../helpers/image-proxies.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { addUser, digestOf, EMPTY, MANIFEST, type Registry, signatureOf, startRegistry } from '../helpers/registry.ts'
import { type ScriptedRegistry, scriptedRegistry } from '../helpers/scripted-registry.ts'

eachDialect('VIRTUAL repositories of images', (dialect) => {
  let on: Registry
  let upstream: ScriptedRegistry
  before(async () => {
    on = await startRegistry(dialect, { ENTREPOT_PROXY_ABSENT_MS: '50', ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' })
    upstream = await scriptedRegistry()
    await createImageRepository(on, 'first', 'LOCAL')
    await createImageRepository(on, 'second', 'LOCAL')
    await createImageRepository(on, 'hub', 'REMOTE', { url: upstream.url })
    const repositoryList = ['hub', 'first', 'second'].map((name) => ({ name }))
    await createImageRepository(on, 'all', 'VIRTUAL', { repositoryList })
  })
  after(async () => {
    await on[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })
  const layerOf = (bytes: Buffer) => JSON.parse(bytes.toString()).layers[0].digest as string

  it('given members, when pulled, then the first that has the manifest gives it, blobs come from whoever has them', async () => {
    const one = await on.pushImage('demo/first/app', '1')
    const two = await on.pushImage('demo/second/app', '1')
    const only = await on.pushImage('demo/second/app', '2')
    assert.deepEqual((await on.call('GET', '/v2/demo/all/app/manifests/1')).body, one.bytes)
    assert.deepEqual((await on.call('GET', `/v2/demo/all/app/manifests/${two.digest}`)).body, two.bytes)
    assert.deepEqual((await on.call('GET', '/v2/demo/all/app/manifests/2')).body, only.bytes)
    for (const { bytes } of [one, two, only]) {
      const answer = await on.call('GET', `/v2/demo/all/app/blobs/${layerOf(bytes)}`)
      assert.equal(digestOf(answer.body), layerOf(bytes))
    }
  })

  it('given a REMOTE member, when nobody else has an image, then it fetches it; what users brought is never asked for there', async () => {
    const seeded = seedImage(upstream, 'lib/tool', '1')
    seedImage(upstream, 'mine', '1')
    const own = await on.pushImage('demo/first/mine', '1')
    assert.deepEqual((await on.call('GET', '/v2/demo/all/mine/manifests/1')).body, own.bytes)
    assert.equal(
      upstream.asked.some((one) => one.includes('/mine/')),
      false,
    )
    const answer = await on.call('GET', '/v2/demo/all/lib/tool/manifests/1')
    assert.equal(answer.status, 200, answer.body.toString())
    assert.deepEqual(answer.body, seeded.bytes)
    const blob = await on.call('GET', `/v2/demo/all/lib/tool/blobs/${digestOf(seeded.config)}`)
    assert.deepEqual(blob.body, seeded.config)
    assert.equal(
      (await on.call('GET', '/v2/demo/hub/lib/tool/manifests/1')).headers.get('cache-status'),
      'Entrepot; hit',
    )
  })

  it('given tags and referrers of several members, when listed, then each is there once, in pages', async () => {
    const image = await on.pushImage('demo/first/listed', 'b')
    await on.pushManifest('demo/first/listed', 'Same', image)
    await on.pushImage('demo/second/listed', 'a')
    await on.pushImage('demo/second/listed', 'Same')
    seedImage(upstream, 'listed', 'z')
    const signed = (text: string) => signatureOf(image, text)
    await on.pushBlob('demo/second/listed', EMPTY)
    await on.pushManifest('demo/second/listed', signed('ours').digest, signed('ours'))
    putManifest(upstream, 'listed', signed('theirs'))
    const { json } = await on.call('GET', '/v2/demo/all/listed/tags/list')
    assert.deepEqual(json, { name: 'demo/all/listed', tags: ['a', 'b', 'Same', 'z'] })
    const pages: string[] = []
    let next: string | undefined = '/v2/demo/all/listed/tags/list?n=3'
    while (next !== undefined) {
      const page = await on.call('GET', next)
      pages.push(...page.json.tags)
      next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    }
    assert.deepEqual(pages, ['a', 'b', 'Same', 'z'])
    const referrers = await on.call('GET', `/v2/demo/all/listed/referrers/${image.digest}`)
    const digests = referrers.json.manifests.map(({ digest }: { digest: string }) => digest)
    assert.deepEqual(digests, [signed('ours').digest, signed('theirs').digest].sort())
  })

  it('given a caller who may not read a member, when pulled with a token for the VIRTUAL one, then it is as if that had nothing', async () => {
    const hidden = await on.pushImage('demo/first/secret', '1')
    const shown = await on.pushImage('demo/second/secret', '1')
    const authorization = await addUser(on, 'partly', 'all', ['READ'])
    await allow(on, 'partly', ['second'])
    const granted = await on.call('GET', '/v2/auth?service=entrepot&scope=repository:demo/all/secret:pull', {
      authorization,
    })
    const token = `Bearer ${granted.json.token}`
    for (const login of [authorization, token]) {
      const answer = await on.call('GET', '/v2/demo/all/secret/manifests/1', { authorization: login })
      assert.equal(answer.status, 200, answer.body.toString())
      assert.deepEqual(answer.body, shown.bytes)
      const blob = await on.call('GET', `/v2/demo/all/secret/blobs/${layerOf(hidden.bytes)}`, { authorization: login })
      assert.deepEqual([blob.status, blob.code], [404, 'BLOB_UNKNOWN'])
    }
    const member = await on.call('GET', '/v2/demo/second/secret/manifests/1', { authorization: token })
    assert.equal(member.status, 401)
  })

  describe('the catalog', () => {
    const images = async (repository: string, query: string, authorization?: string) => {
      const answer = await on.call(
        'GET',
        `/demo/${repository}/v2/_catalog${query}`,
        authorization === undefined ? {} : { authorization },
      )
      return {
        names: answer.json.repositories as string[],
        next: /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1],
      }
    }
    before(async () => {
      await createImageRepository(on, 'left', 'LOCAL')
      await createImageRepository(on, 'right', 'LOCAL')
      await createImageRepository(on, 'inner', 'VIRTUAL', { repositoryList: [{ name: 'right' }] })
      await createImageRepository(on, 'outer', 'VIRTUAL', { repositoryList: [{ name: 'left' }, { name: 'inner' }] })
      for (const name of ['left/b', 'left/d', 'right/a/x', 'right/b', 'right/c'])
        await on.pushImage(`demo/${name}`, '1')
    })

    it('given members and members of members, when listed, then each image is there once, in order and in pages', async () => {
      const all = ['demo/outer/a/x', 'demo/outer/b', 'demo/outer/c', 'demo/outer/d']
      assert.deepEqual((await images('outer', '')).names, all)
      assert.deepEqual((await images('outer', '?last=demo/outer/b')).names, all.slice(2))
      for (const n of [1, 2, 3]) {
        const pages: string[] = []
        let next: string | undefined = `/demo/outer/v2/_catalog?n=${n}`
        while (next !== undefined) {
          const page = await on.call('GET', next)
          assert.ok(page.json.repositories.length <= n)
          pages.push(...page.json.repositories)
          next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
        }
        assert.deepEqual(pages, all)
      }
    })

    it('given all repositories, when listed, then those of VIRTUAL ones stand in their places', async () => {
      const ours = [
        'inner/a/x',
        'inner/b',
        'inner/c',
        'left/b',
        'left/d',
        'outer/a/x',
        'outer/b',
        'outer/c',
        'outer/d',
        'right/a/x',
        'right/b',
        'right/c',
      ]
      const pages: string[] = []
      let next: string | undefined = '/v2/_catalog?n=2'
      while (next !== undefined) {
        const page = await on.call('GET', next)
        pages.push(...page.json.repositories)
        next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
      }
      assert.deepEqual(pages, pages.toSorted())
      assert.deepEqual(
        pages.filter((name) => /^demo\/(inner|left|outer|right)\//.test(name)),
        ours.map((name) => `demo/${name}`),
      )
    })

    it('given a caller who may not read a member, or what lies between, when listed, then its images are not there', async () => {
      const user = await addUser(on, 'sees-outer', 'outer', ['READ'])
      assert.deepEqual((await images('outer', '', user)).names, [])
      await allow(on, 'sees-outer', ['left'])
      assert.deepEqual((await images('outer', '', user)).names, ['demo/outer/b', 'demo/outer/d'])
      await allow(on, 'sees-outer', ['right'])
      assert.deepEqual((await images('outer', '', user)).names, ['demo/outer/b', 'demo/outer/d'])
      await allow(on, 'sees-outer', ['inner'])
      assert.equal((await images('outer', '', user)).names.length, 4)
      const stranger = await addUser(on, 'sees-left', 'left', ['READ'])
      assert.deepEqual((await images('outer', '', stranger)).names, [])
    })
  })

  it('given nobody who has it, when asked for, then 404; an upstream that failed is named', async () => {
    const none = await on.call('GET', '/v2/demo/all/none/manifests/1')
    assert.deepEqual([none.status, none.code], [404, 'MANIFEST_UNKNOWN'])
    const blob = await on.call('GET', `/v2/demo/all/none/blobs/${digestOf('none')}`)
    assert.deepEqual([blob.status, blob.code], [404, 'BLOB_UNKNOWN'])
    assert.deepEqual((await on.call('GET', '/v2/demo/all/none/tags/list')).code, 'NAME_UNKNOWN')
    upstream.script(() => ({ status: 403 }))
    const failed = await on.call('GET', '/v2/demo/all/other/manifests/1')
    assert.equal(failed.status, 502)
    upstream.script(() => undefined)
  })

  it('given pushes and deletions, when sent to a VIRTUAL repository, then 405 UNSUPPORTED with words', async () => {
    for (const [method, path] of [
      ['POST', 'blobs/uploads/'],
      ['PUT', 'manifests/1'],
      ['DELETE', 'manifests/1'],
    ] as const) {
      const answer = await on.call(
        method,
        `/v2/demo/all/app/${path}`,
        method === 'PUT' ? { body: '{}', headers: { 'content-type': MANIFEST } } : {},
      )
      assert.deepEqual([answer.status, answer.code], [405, 'UNSUPPORTED'], `${method} ${answer.body}`)
      assert.match(answer.body.toString(), /is VIRTUAL/)
    }
  })
})

/** READ on these repositories. */
async function allow({ server }: Registry, user: string, repos: readonly string[]): Promise<void> {
  await server.api.call(
    'POST',
    '/auth/api/permission/create',
    {
      ...{ resourceType: 'REPO', projectId: 'demo', permName: `${user} on ${repos}`, repos },
      ...{ users: [user], roles: [], actions: ['READ'], includePattern: [], excludePattern: [] },
    },
    new AbortController().signal,
  )
}
