import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { contentName, hurryingClock, pushSource, registryClient } from '../../../test/helpers/registry-clients.ts'
import {
  type RegistryTraits,
  type ScriptedRegistry,
  scriptedRegistry,
} from '../../../test/helpers/scripted-registry.ts'
import { AppError } from '../../core/errors.ts'
import type { UploadPoint } from './blob-uploads.ts'

const PART = 64 * 1024
const LIMITS = { limits: { wholeBytes: PART, partBytes: PART } }
const large = seededBytes(1, PART * 4 + 100)
const name = contentName(large)
const small = seededBytes(2, 1_000)

const methodsOf = ({ asked }: ScriptedRegistry) =>
  asked.filter((line) => line.includes('/blobs/')).map((line) => line.split(' ')[0])
const holds = (registry: ScriptedRegistry, bytes: Buffer, repository = 'team/app') =>
  registry.blobs.get(`${repository}@${contentName(bytes)}`)?.equals(bytes)

async function pushed(traits: RegistryTraits, bytes: Buffer, signal: AbortSignal) {
  const registry = await scriptedRegistry(traits)
  using client = registryClient({ url: registry.url }, LIMITS)
  await client.pushBlob('team/app', contentName(bytes), pushSource(bytes), {}, signal)
  assert.equal(holds(registry, bytes), true)
  return registry
}

describe('pushing a blob', () => {
  it('given a small blob, when it is pushed, then two requests do', async (t) => {
    await using registry = await pushed({}, small, t.signal)
    assert.deepEqual(methodsOf(registry), ['POST', 'PUT'])
  })

  it('given a blob without bytes, when it is pushed, then it is there', async (t) => {
    await using registry = await pushed({}, Buffer.alloc(0), t.signal)
    assert.deepEqual(methodsOf(registry), ['POST', 'PUT'])
  })

  it('given a large blob, when it is pushed, then it goes in parts, and each is told of', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url }, LIMITS)
    const offsets: number[] = []
    let bytes = 0
    const onBytes = (count: number) => {
      bytes += count
    }
    await client.pushBlob(
      'a',
      name,
      pushSource(large),
      { onPoint: ({ offset }) => void offsets.push(offset), onBytes },
      t.signal,
    )
    assert.deepEqual(methodsOf(registry), ['POST', 'PATCH', 'PATCH', 'PATCH', 'PATCH', 'PATCH', 'PUT'])
    assert.deepEqual(offsets, [1, 2, 3, 4].map((parts) => parts * PART).concat(large.length))
    assert.equal(bytes, large.length)
    assert.equal(holds(registry, large, 'a'), true)
  })

  it('given a registry that wants larger parts, when a blob is pushed, then they are as large', async (t) => {
    await using registry = await pushed({ leastPartBytes: PART * 3 }, large, t.signal)
    assert.deepEqual(methodsOf(registry), ['POST', 'PATCH', 'PATCH', 'PUT'])
  })

  it('case 40: given a registry on a port of its own with relative locations, or such that lost the port, when a blob is pushed, then it is there', async (t) => {
    for (const location of ['relative', 'without port'] as const) {
      await using registry = await pushed({ location }, large, t.signal)
      assert.deepEqual(methodsOf(registry).at(-1), 'PUT', location)
    }
  })

  it('case 41: given a registry that refuses a second PATCH, when a blob is pushed, then one PATCH takes all, and the next blob begins so', async (t) => {
    await using registry = await scriptedRegistry({ patches: 'one' })
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('a', name, pushSource(large), {}, t.signal)
    assert.equal(holds(registry, large, 'a'), true)
    assert.deepEqual(methodsOf(registry), ['POST', 'PATCH', 'PATCH', 'DELETE', 'POST', 'PATCH', 'PUT'])
    registry.asked.length = 0
    const other = seededBytes(3, PART * 2)
    await client.pushBlob('a', contentName(other), pushSource(other), {}, t.signal)
    assert.deepEqual(methodsOf(registry), ['POST', 'PATCH', 'PUT'])
  })

  it('given a registry without PATCH, when a large blob is pushed, then one PUT takes all', async (t) => {
    await using registry = await pushed({ patches: 'none' }, large, t.signal)
    assert.deepEqual(methodsOf(registry).slice(-2), ['POST', 'PUT'])
  })

  it('given a registry that wants no bytes with the last request, when a small blob is pushed, then a PATCH takes them', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method, headers }) =>
      method === 'PUT' && headers['content-length'] !== '0' ? { status: 405 } : undefined,
    )
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('team/app', contentName(small), pushSource(small), {}, t.signal)
    assert.equal(holds(registry, small), true)
  })

  it('given a connection that breaks in mid-part, when a blob is pushed, then it goes on from the byte that was kept', async (t) => {
    await using registry = await scriptedRegistry()
    const cutAt = 10_000
    registry.script(({ method }, nth) => (method === 'PATCH' && nth === 3 ? { cutAfter: cutAt } : undefined))
    using client = registryClient({ url: registry.url }, LIMITS)
    const opened: number[] = []
    await client.pushBlob(
      'team/app',
      name,
      pushSource(large, (start) => opened.push(start)),
      {},
      t.signal,
    )
    assert.equal(holds(registry, large), true)
    assert.deepEqual(opened, [0, PART, 2 * PART, 2 * PART + cutAt, 3 * PART + cutAt])
    assert.equal(registry.uploadedBytes(), large.length)
  })

  it('given a connection that breaks at every part, when a blob is pushed, then another way is taken', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method, headers }) =>
      method === 'PATCH' && headers['content-range'] !== undefined ? { cutAfter: 0 } : undefined,
    )
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('team/app', name, pushSource(large), {}, t.signal)
    assert.equal(holds(registry, large), true)
  })

  it('given an upload that was told of before this process began, when it is gone on with, then only the rest is sent', async (t) => {
    await using registry = await scriptedRegistry()
    let kept: UploadPoint | undefined
    const stop = new AbortController()
    {
      using client = registryClient({ url: registry.url }, LIMITS)
      const onPoint = (point: UploadPoint) => {
        kept = point
        if (point.offset === 3 * PART) stop.abort(new Error('killed'))
      }
      await assert.rejects(client.pushBlob('team/app', name, pushSource(large), { onPoint }, stop.signal), /killed/)
    }
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('team/app', name, pushSource(large), { from: kept }, t.signal)
    assert.equal(holds(registry, large), true)
    assert.equal(registry.uploadedBytes(), large.length)
    const unknown = { location: `${registry.url}/v2/team/app/blobs/uploads/gone?_state=a%2Fb%3D%3D`, offset: PART }
    await client.pushBlob('b', name, pushSource(large), { from: unknown }, t.signal)
    assert.equal(holds(registry, large, 'b'), true)
    const elsewhere = { location: 'https://before.example/v2/c/blobs/uploads/1', offset: PART }
    await client.pushBlob('c', name, pushSource(large), { from: elsewhere }, t.signal)
    assert.equal(holds(registry, large, 'c'), true)
  })

  it('given an upload that the registry forgot after some parts, when a blob is pushed, then a new one goes in parts as well', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method }, nth) => (method === 'PATCH' && nth === 4 ? { status: 404 } : undefined))
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('team/app', name, pushSource(large), {}, t.signal)
    assert.equal(holds(registry, large), true)
    assert.equal(methodsOf(registry).filter((method) => method === 'PATCH').length, 4 + 5)
  })

  it('given an upload from a mount that the registry forgot meanwhile, when the blob is pushed, then that refuses no way', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url }, LIMITS)
    const from = { location: `${registry.url}/v2/team/app/blobs/uploads/gone?_state=a%2Fb%3D%3D`, offset: 0 }
    await client.pushBlob('team/app', contentName(small), pushSource(small), { from }, t.signal)
    assert.deepEqual(methodsOf(registry), ['PUT', 'HEAD', 'DELETE', 'POST', 'PUT'])
  })

  it('given a last request whose answer is lost, when the blob is there, then it is pushed', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method }) => {
      if (method !== 'PUT') return undefined
      registry.blobs.set(`team/app@${name}`, large)
      return { status: 502 }
    })
    using client = registryClient({ url: registry.url }, LIMITS)
    await client.pushBlob('team/app', name, pushSource(large), {}, t.signal)
  })

  it('given a registry that is asked too often, when a part is refused with Retry-After, then it is sent again after that', async (t) => {
    await using registry = await scriptedRegistry()
    const clock = hurryingClock()
    registry.script(({ method }, nth) =>
      method === 'PATCH' && nth === 2 ? { status: 429, headers: { 'retry-after': '2' } } : undefined,
    )
    using client = registryClient({ url: registry.url }, { ...LIMITS, clock })
    await client.pushBlob('team/app', name, pushSource(large), {}, t.signal)
    assert.equal(holds(registry, large), true)
    assert.ok(clock.pausesMs.includes(2_000))
  })

  it('case 49: given a registry that answers 403 to uploads, when a blob is pushed, then the failure says so once, without the password', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'basic', password: 'hush-hush' })
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: `hush-hush ${'x'.repeat(2_000)}` }] })
    registry.script(({ method }) => (method === 'POST' ? { status: 403, body } : undefined))
    using client = registryClient({ url: registry.url, username: 'pusher', password: 'hush-hush' }, LIMITS)
    await assert.rejects(client.pushBlob('team/app', name, pushSource(large), {}, t.signal), (error) => {
      assert.ok(error instanceof AppError)
      assert.deepEqual([error.code, error.retryable, error.detail.status], ['UPSTREAM_FAILED', false, 403])
      assert.deepEqual(error.detail.reasons, ['DENIED'])
      assert.match(error.message, /answered 403 .*DENIED/)
      assert.ok(!JSON.stringify([error.message, error.detail]).includes('hush-hush'))
      assert.ok(error.message.length < 750)
      return true
    })
    assert.deepEqual(methodsOf(registry), ['POST'])
  })

  it('given a registry that says it stored something else, when a blob is pushed, then that is no success', async (t) => {
    await using registry = await scriptedRegistry()
    const other = contentName('other')
    registry.script(({ method }) =>
      method === 'PUT' ? { status: 201, headers: { 'docker-content-digest': other } } : undefined,
    )
    using client = registryClient({ url: registry.url }, LIMITS)
    await assert.rejects(client.pushBlob('team/app', name, pushSource(large), {}, t.signal), {
      code: 'DIGEST_MISMATCH',
    })
  })

  it('given a source that fails, when its blob is pushed, then its own failure is thrown', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url }, LIMITS)
    const failing = { sizeBytes: 10, open: async () => Promise.reject(new AppError('BLOB_UNKNOWN', 'gone')) }
    await assert.rejects(client.pushBlob('team/app', name, failing, {}, t.signal), { code: 'BLOB_UNKNOWN' })
    const short = { ...pushSource(small), sizeBytes: small.length + 1 }
    await assert.rejects(client.pushBlob('team/app', name, short, {}, t.signal), /another length/)
  })

  it('given a location on a host that is not allowed, when a blob is pushed, then nothing is sent there', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method }) =>
      method === 'POST' ? { status: 202, headers: { location: 'http://169.254.169.254/latest' } } : undefined,
    )
    using client = registryClient({ url: registry.url }, LIMITS)
    await assert.rejects(client.pushBlob('team/app', name, pushSource(large), {}, t.signal), /not allowed/)
  })
})

describe('mounting a blob', () => {
  it('given a blob in another repository of the registry, when it is mounted, then no byte is sent', async (t) => {
    await using registry = await scriptedRegistry()
    registry.blobs.set(`team/base@${name}`, large)
    using client = registryClient({ url: registry.url }, LIMITS)
    assert.deepEqual(await client.mountBlob('team/app', name, 'team/base', t.signal), { mounted: true })
    assert.equal(holds(registry, large), true)
  })

  it('given a registry without mounts, when the blob is pushed then, then the upload that was begun is used', async (t) => {
    await using registry = await scriptedRegistry({ mounts: 'ignored' })
    registry.blobs.set(`team/base@${contentName(small)}`, small)
    using client = registryClient({ url: registry.url }, LIMITS)
    const { mounted, from } = await client.mountBlob('team/app', contentName(small), 'team/base', t.signal)
    assert.equal(mounted, false)
    await client.pushBlob('team/app', contentName(small), pushSource(small), { from }, t.signal)
    assert.deepEqual(methodsOf(registry), ['POST', 'PUT'])
    registry.script(({ method }) => (method === 'POST' ? { status: 404 } : undefined))
    assert.deepEqual(await client.mountBlob('team/app', name, 'elsewhere', t.signal), { mounted: false })
  })
})
