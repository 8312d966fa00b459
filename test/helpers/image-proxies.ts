import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CONFIG,
  descriptor,
  digestOf,
  INDEX,
  imageOf,
  LAYER,
  manifestOf,
  type PushedManifest,
  type Registry,
} from './registry.ts'
import type { ScriptedRegistry } from './scripted-registry.ts'

/** A DOCKER repository of the project `demo` that fetches or shows others. */
export async function createImageRepository(
  { server }: Pick<Registry, 'server'>,
  name: string,
  category: 'REMOTE' | 'VIRTUAL' | 'COMPOSITE' | 'LOCAL',
  configuration?: object,
  more: object = {},
): Promise<void> {
  const body = { projectId: 'demo', name, type: 'DOCKER', category, configuration, ...more }
  await server.api.call('POST', '/repository/api/repo/create', body, new AbortController().signal)
}

export const putBlob = ({ blobs }: ScriptedRegistry, repository: string, bytes: Buffer): string => {
  blobs.set(`${repository}@${digestOf(bytes)}`, bytes)
  return digestOf(bytes)
}
export function putManifest(
  { manifests }: ScriptedRegistry,
  repository: string,
  manifest: PushedManifest,
  ...tags: string[]
) {
  const kept = { bytes: manifest.bytes, type: manifest.mediaType }
  manifests.set(`${repository}@${manifest.digest}`, kept)
  for (const tag of tags) manifests.set(`${repository}:${tag}`, kept)
}

export interface SeededImage extends PushedManifest {
  readonly config: Buffer
  readonly layers: readonly Buffer[]
}
/** An image at a registry of somebody else, with a config and these layers. */
export function seedImage(
  registry: ScriptedRegistry,
  repository: string,
  tag: string | undefined,
  {
    architecture = 'amd64',
    layers = [Buffer.from(`layer of ${repository}:${tag}`)],
    ...more
  }: {
    architecture?: string
    layers?: readonly Buffer[]
    [name: string]: unknown
  } = {},
): SeededImage {
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture, of: `${repository}:${tag}` }))
  for (const blob of [config, ...layers]) putBlob(registry, repository, blob)
  const image = imageOf(config, layers, more)
  putManifest(registry, repository, image, ...(tag === undefined ? [] : [tag]))
  return { ...image, config, layers }
}
export function seedIndex(
  registry: ScriptedRegistry,
  repository: string,
  tag: string,
  children: readonly SeededImage[],
) {
  const manifests = children.map(({ bytes, mediaType }, n) =>
    descriptor(bytes, mediaType, { platform: { os: 'linux', architecture: n === 0 ? 'amd64' : 'arm64' } }),
  )
  const index = manifestOf({ mediaType: INDEX, manifests })
  putManifest(registry, repository, index, tag)
  return index
}

/** All that is fetched counts as asked about long ago. */
export async function age({ server }: Pick<Registry, 'server'>): Promise<void> {
  await server.db.transact((trx) =>
    trx
      .updateTable('proxy_file')
      .set({ checked_at: 0 })
      .execute()
      .then(() => undefined),
  )
}

/** Paths that the version claims, once there are so many. */
export async function claimsOf(
  { server }: Pick<Registry, 'server'>,
  version: string,
  count: number,
): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const rows = await server.db.read
      .selectFrom('version_file')
      .innerJoin('package_version', 'package_version.id', 'version_file.version_id')
      .where('package_version.name', '=', version)
      .orderBy('version_file.ord')
      .select('version_file.path')
      .execute()
    if (rows.length === count) return rows.map(({ path }) => path)
    assert.ok(tries < 500, `${version} claims ${rows.map(({ path }) => path).join(', ')}`)
    await sleep(10)
  }
}

export { CONFIG, LAYER }
