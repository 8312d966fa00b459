import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hurryingClock } from '../../../test/helpers/registry-clients.ts'
import { scriptedRegistry } from '../../../test/helpers/scripted-registry.ts'
import { TEST_CERTIFICATE, tlsProxy } from '../../../test/helpers/tls-proxy.ts'
import { systemClock } from '../../app/system-clock.ts'
import { NotConnected } from '../transport/failures.ts'
import { parseRegistryAddress, registryUrl, repositoryAt, resolveRegistry } from './registry-address.ts'
import { knocking } from './registry-client.ts'

const rules = { allowPrivate: true }
const parse = (text: string) => parseRegistryAddress('registry', text, rules)

describe('the address of a registry', () => {
  it('given it as people write it, when it is read, then scheme, host and prefix are told apart', () => {
    const cases: [string, ReturnType<typeof parse>][] = [
      ['registry.example', { scheme: undefined, host: 'registry.example', prefix: '' }],
      ['registry.example:5001/team/sub/', { scheme: undefined, host: 'registry.example:5001', prefix: 'team/sub' }],
      ['registry.example:443/team', { scheme: undefined, host: 'registry.example:443', prefix: 'team' }],
      ['HTTPS://Registry.Example/team', { scheme: 'https', host: 'registry.example', prefix: 'team' }],
      ['http://127.0.0.1:5000', { scheme: 'http', host: '127.0.0.1:5000', prefix: '' }],
      ['[::1]:5000/a', { scheme: undefined, host: '[::1]:5000', prefix: 'a' }],
      ['docker.io/team', { scheme: 'https', host: 'registry-1.docker.io', prefix: 'team' }],
    ]
    for (const [text, expected] of cases) assert.deepEqual(parse(text), expected, text)
  })

  it('given a login, another scheme, a query or a bad prefix, when it is read, then it is refused by the name of its field', () => {
    const wrong = [
      'user:pw@h/team',
      'https://user@h',
      'ftp://h',
      'h/Team',
      'h/a//b',
      'h/team?x=1',
      'h#x',
      '',
      'h/a b',
      'http://169.254.169.254',
    ]
    for (const text of wrong) {
      assert.throws(() => parse(text), { code: 'PARAMETER_INVALID', message: /^Parameter \[registry\]/ }, text)
    }
    assert.throws(() => parseRegistryAddress('registry', '127.0.0.1:5000', { allowPrivate: false }), {
      code: 'PARAMETER_INVALID',
    })
  })

  it('given images, when their repositories are named, then the prefix comes before them', () => {
    assert.equal(repositoryAt('https://h/team', 'nginx'), 'team/nginx')
    assert.equal(repositoryAt('https://h:5001', 'a/b'), 'a/b')
    assert.equal(repositoryAt('https://registry-1.docker.io', 'nginx'), 'library/nginx')
    assert.equal(repositoryAt('https://registry-1.docker.io', 'team/nginx'), 'team/nginx')
    assert.equal(repositoryAt('https://registry-1.docker.io/team', 'nginx'), 'team/nginx')
    assert.throws(() => repositoryAt('https://h', 'Nginx'), { code: 'PARAMETER_INVALID' })
    assert.equal(registryUrl(parse('h:5001/team'), 'http'), 'http://h:5001/team')
  })
})

describe('finding out the scheme', () => {
  const resolve = (text: string, more: { withCredentials?: boolean; certificate?: string }, signal: AbortSignal) => {
    const clock = hurryingClock()
    const { withCredentials = false, certificate } = more
    const resolving = { clock, knock: knocking({ certificate }, { clock: systemClock, rules }) }
    return resolveRegistry(resolving, parse(text), { withCredentials }, signal)
  }

  it('given a registry with TLS, when it has no scheme, then it is https', async (t) => {
    await using registry = await scriptedRegistry()
    await using secure = await tlsProxy(registry.url)
    const { host } = new URL(secure.url)
    assert.equal(
      await resolve(`${host}/team`, { certificate: TEST_CERTIFICATE, withCredentials: true }, t.signal),
      `https://${host}/team`,
    )
    // What is not trusted is no reason to go without TLS.
    await assert.rejects(resolve(host, {}, t.signal), { code: 'CLUSTER_SSL_ERROR' })
  })

  it('given a registry without TLS, when it has no scheme, then it is http', async (t) => {
    await using registry = await scriptedRegistry()
    const host = `127.0.0.1:${registry.port}`
    assert.equal(await resolve(host, {}, t.signal), `http://${host}`)
    assert.equal(await resolve(`http://${host}`, { withCredentials: true }, t.signal), `http://${host}`)
  })

  it('given a registry outside without TLS, when a password is set, then it is http only when that is written', async (t) => {
    const knock = async ({ protocol }: URL) => {
      if (protocol === 'https:') throw new NotConnected('registry.example: ECONNREFUSED, nobody listens')
    }
    const found = (text: string, withCredentials: boolean) =>
      resolveRegistry({ clock: hurryingClock(), knock }, parse(text), { withCredentials }, t.signal)
    assert.equal(await found('registry.example/team', false), 'http://registry.example/team')
    assert.equal(await found('http://registry.example/team', true), 'http://registry.example/team')
    await assert.rejects(found('registry.example/team', true), {
      code: 'CLUSTER_SSL_ERROR',
      message: /write http:\/\//,
    })
  })

  it('given nobody there, when it is resolved, then it is tried three times, a second apart', async (t) => {
    const clock = hurryingClock()
    const gone = await scriptedRegistry()
    await gone[Symbol.asyncDispose]()
    const resolving = { clock, knock: knocking({}, { clock: systemClock, rules }) }
    const address = parse(`127.0.0.1:${gone.port}`)
    await assert.rejects(resolveRegistry(resolving, address, { withCredentials: false }, t.signal), {
      ...{ code: 'CLUSTER_CONNECT_ERROR', retryable: true },
    })
    assert.deepEqual(
      clock.pausesMs.filter((ms) => ms === 1_000),
      [1_000, 1_000],
    )
  })
})
