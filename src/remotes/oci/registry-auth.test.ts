import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { contentName, hurryingClock, pushSource, registryClient } from '../../../test/helpers/registry-clients.ts'
import { type ScriptedRegistry, scriptedRegistry } from '../../../test/helpers/scripted-registry.ts'
import { AppError } from '../../core/errors.ts'
import { parseChallenges } from './auth-challenge.ts'

const LOGIN = { user: 'pusher', password: 'p:ss/w+rd' }
const CLIENT = { username: LOGIN.user, password: LOGIN.password }
const PART = 16 * 1024
const LIMITS = { wholeBytes: PART, partBytes: PART }
const large = seededBytes(1, PART * 6)
const name = contentName(large)

const tokensAsked = ({ asked }: ScriptedRegistry) => asked.filter((line) => line.endsWith(' /token')).length

describe('a login', () => {
  it('given a registry without one, when it is asked, then no login is sent', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url, ...CLIENT })
    await client.hasBlob('a', name, t.signal)
    await client.hasBlob('a', name, t.signal)
    assert.deepEqual(registry.asked, ['GET /v2/', `HEAD /v2/a/blobs/${name}`, `HEAD /v2/a/blobs/${name}`])
    assert.deepEqual(
      registry.requests.map(({ headers }) => headers.authorization),
      [undefined, undefined, undefined],
    )
  })

  it('given a registry with Basic, when it is asked, then the login goes with every request but the first', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'basic', ...LOGIN })
    using client = registryClient({ url: registry.url, ...CLIENT })
    assert.equal(await client.hasBlob('a', name, t.signal), false)
    assert.deepEqual(registry.asked, ['GET /v2/', `HEAD /v2/a/blobs/${name}`])
  })

  it('given a wrong password, when a registry is asked, then the failure names it and the status, and no secret', async (t) => {
    for (const auth of ['basic', 'bearer'] as const) {
      await using registry = await scriptedRegistry({ auth, ...LOGIN })
      const answer = {
        status: 401,
        headers: { 'www-authenticate': 'Basic realm="it"' },
        body: 'not wrong-one, d3Jvbmc',
      }
      registry.script(({ url = '', headers }) =>
        url.startsWith('/token') || headers.authorization ? answer : undefined,
      )
      using client = registryClient({ url: registry.url, username: LOGIN.user, password: 'wrong-one' })
      await assert.rejects(client.check(t.signal), (error) => {
        assert.ok(error instanceof AppError)
        assert.deepEqual([error.code, error.detail.status, error.retryable], ['UPSTREAM_FAILED', 401, false], auth)
        assert.ok(error.message.includes(`127.0.0.1:${registry.port}`))
        assert.ok(!`${error.message}${JSON.stringify(error.detail)}`.includes('wrong-one'))
        return true
      })
    }
  })

  it('given many requests at once, when the registry wants tokens, then one is fetched for all, and one for each repository', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'bearer', ...LOGIN })
    using client = registryClient({ url: registry.url, ...CLIENT })
    await Promise.all(Array.from({ length: 20 }, () => client.hasBlob('a', name, t.signal)))
    assert.equal(tokensAsked(registry), 1)
    await client.hasBlob('b', name, t.signal)
    assert.equal(tokensAsked(registry), 2)
    const [first] = registry.requests.filter(({ url }) => url?.startsWith('/token'))
    const query = new URL(first?.url ?? '', registry.url).searchParams
    assert.deepEqual(Object.fromEntries(query), { service: 'it', scope: 'repository:a:pull', account: LOGIN.user })
  })

  it('case 39: given tokens as access_token that live 5 s, when a push takes longer, then they are renewed and it succeeds', async (t) => {
    const clock = hurryingClock()
    await using registry = await scriptedRegistry({
      clock,
      auth: 'bearer',
      ...LOGIN,
      tokens: { field: 'access_token', lifeSeconds: 5 },
    })
    using client = registryClient({ url: registry.url, ...CLIENT }, { clock, limits: LIMITS })
    const onPoint = () => clock.pass(2_000)
    await client.pushBlob('a', name, pushSource(large), { onPoint }, t.signal)
    assert.ok(registry.blobs.get(`a@${name}`)?.equals(large))
    assert.ok(tokensAsked(registry) >= 3)
    // None went out that was refused: they are renewed before their end.
    assert.equal(registry.uploadedBytes(), large.length)
  })

  it('given a token that is no good any more before its time, when a part is refused, then it is sent again from its first byte', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'bearer', ...LOGIN })
    const challenge = `Bearer realm="${registry.url}/token",service="it",scope="repository:a:pull,push",error="invalid_token"`
    registry.script(({ method }, nth) =>
      method === 'PATCH' && nth === 3 ? { status: 401, headers: { 'www-authenticate': challenge } } : undefined,
    )
    using client = registryClient({ url: registry.url, ...CLIENT }, { limits: LIMITS })
    const opened: number[] = []
    await client.pushBlob(
      'a',
      name,
      pushSource(large, (start) => opened.push(start)),
      {},
      t.signal,
    )
    assert.ok(registry.blobs.get(`a@${name}`)?.equals(large))
    assert.deepEqual(opened.slice(0, 4), [0, PART, 2 * PART, 2 * PART])
  })

  it('given a token that may not do it, when it was renewed once, then that is the failure', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'bearer', ...LOGIN })
    const challenge = `Bearer realm="${registry.url}/token",service="it",error="insufficient_scope"`
    registry.script(({ method }) =>
      method === 'POST' ? { status: 401, headers: { 'www-authenticate': challenge } } : undefined,
    )
    using client = registryClient({ url: registry.url, ...CLIENT }, { limits: LIMITS })
    await assert.rejects(client.pushBlob('a', name, pushSource(large), {}, t.signal), /401 \(insufficient_scope\)/)
    assert.equal(registry.asked.filter((line) => line.startsWith('POST ')).length, 2)
  })

  it('given a token service that knows POST only, when it is asked, then that is found out once', async (t) => {
    await using registry = await scriptedRegistry({
      auth: 'bearer',
      ...LOGIN,
      tokens: { protocol: 'oauth', field: 'access_token' },
    })
    using client = registryClient({ url: registry.url, ...CLIENT })
    await client.hasBlob('a', name, t.signal)
    await client.hasBlob('b', name, t.signal)
    assert.deepEqual(
      registry.asked.filter((line) => line.endsWith('/token')),
      ['GET /token', 'POST /token', 'POST /token'],
    )
  })

  it('given a token service on an address that is not allowed, or in plain text elsewhere, when it is named, then no password goes there', async (t) => {
    for (const realm of ['http://169.254.169.254/token', 'http://tokens.example/token']) {
      await using registry = await scriptedRegistry({ auth: 'bearer', ...LOGIN, tokens: { realm } })
      using client = registryClient({ url: registry.url, ...CLIENT })
      await assert.rejects(client.check(t.signal), /token service/)
    }
  })

  it('given a registry that is no registry, when it is asked, then the failure has its status', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(() => ({ status: 404, body: 'nginx' }))
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.check(t.signal), /answered 404 to GET of \/v2\/: nginx/)
  })
})

it('given challenges as servers write them, when they are read, then schemes and parameters are told apart', () => {
  const bearer = parseChallenges(
    'Bearer realm="https://t.example/a,b",Service="x \\"y\\"", scope="repository:a:pull,push"',
  )
  assert.deepEqual(bearer, [
    {
      scheme: 'bearer',
      parameters: { realm: 'https://t.example/a,b', service: 'x "y"', scope: 'repository:a:pull,push' },
    },
  ])
  assert.deepEqual(
    parseChallenges('Basic realm=it, Bearer realm="r"').map(({ scheme }) => scheme),
    ['basic', 'bearer'],
  )
  assert.deepEqual(parseChallenges(undefined), [])
})
