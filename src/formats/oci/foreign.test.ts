import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { contentName, pushSource, registryClient } from '../../../test/helpers/registry-clients.ts'
import { type ScriptedRegistry, scriptedRegistry } from '../../../test/helpers/scripted-registry.ts'
import { type Digest, digestOfBytes } from '../../core/digest.ts'
import type { ForeignPushOptions, ForeignVersion } from '../foreign.ts'
import { createOciForeignRegistry } from './foreign.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const SMALL = [1, 2, 3].map((seed) => seededBytes(seed, 500))
const LARGE = seededBytes(4, 100_000)

/** A version of these blobs, and how to read what it consists of. */
function versionOf(tag: string, blobs: readonly Buffer[]): { version: ForeignVersion; options: ForeignPushOptions } {
  const described = blobs.map((bytes) => ({
    mediaType: 'application/octet-stream',
    digest: contentName(bytes),
    size: bytes.length,
  }))
  const [config, ...layers] = described
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }))
  const all = new Map<Digest, Buffer>([...blobs, manifest].map((bytes) => [digestOfBytes(bytes), bytes]))
  const fileOf = (path: string, bytes: Buffer) => ({ path, digest: digestOfBytes(bytes), sizeBytes: bytes.length })
  const files = [
    ...blobs.map((bytes) => fileOf(`/app/blobs/${contentName(bytes).replace(':', '__')}`, bytes)),
    fileOf(`/app/manifest/${tag}/manifest.json`, manifest),
  ]
  return {
    version: { packageName: 'app', digest: contentName(manifest), tags: [tag], files },
    options: {
      open: (file, range, signal) => pushSource(all.get(file.digest)!).open(range, signal),
      read: async (file) => all.get(file.digest)!,
      onBytes: () => {},
      uploads: { find: async () => undefined, save: async () => {}, forget: async () => {} },
    },
  }
}

async function push(registry: ScriptedRegistry, blobs: readonly Buffer[], signal: AbortSignal): Promise<string[]> {
  using foreign = createOciForeignRegistry(registryClient({ url: registry.url }))
  const { version, options } = versionOf('1.1', blobs)
  await foreign.push(version, options, signal)
  for (const bytes of blobs) assert.deepEqual(registry.blobs.get(`app@${contentName(bytes)}`), bytes)
  return registry.asked.filter((line) => line.startsWith('HEAD') && line.includes('/blobs/'))
}
const knowsNothing = (registry: ScriptedRegistry) =>
  registry.script(({ url = '' }) =>
    url.includes('/tags/list') ? { status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' } : undefined,
  )

describe('blobs of a version that goes to a registry of others', () => {
  it('given a repository that the registry does not know, when pushed, then small blobs go unasked, and large ones do not', async (t) => {
    await using registry = await scriptedRegistry()
    knowsNothing(registry)
    const asked = await push(registry, [...SMALL, LARGE], t.signal)
    assert.deepEqual(asked, [`HEAD /v2/app/blobs/${contentName(LARGE)}`])
  })

  it('given a registry that answers otherwise, or is not asked for one blob alone, when pushed, then each is asked for', async (t) => {
    for (const answer of [{ status: 200, body: '{"tags":null}' }, { status: 403 }, { status: 404 }]) {
      await using registry = await scriptedRegistry()
      registry.script(({ url = '' }) => (url.includes('/tags/list') ? answer : undefined))
      assert.equal((await push(registry, SMALL, t.signal)).length, SMALL.length)
    }
    await using registry = await scriptedRegistry()
    knowsNothing(registry)
    assert.equal((await push(registry, SMALL.slice(0, 1), t.signal)).length, 1)
    assert.equal(registry.asked.filter((line) => line.includes('/tags/list')).length, 0)
  })

  it('given small blobs that went unasked, when another tag of them is pushed, then they do not go again', async (t) => {
    await using registry = await scriptedRegistry()
    knowsNothing(registry)
    using foreign = createOciForeignRegistry(registryClient({ url: registry.url }))
    for (const tag of ['1.1', '1.2']) {
      const { version, options } = versionOf(tag, SMALL)
      await foreign.push(version, options, t.signal)
    }
    assert.equal(registry.uploadedBytes(), 1_500)
    assert.equal(registry.asked.filter((line) => line.includes('/tags/list')).length, 1)
  })
})
