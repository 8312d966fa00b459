import assert from 'node:assert/strict'
import type { BlobIntake } from '../../src/artifacts/blobs/blob-intake.ts'
import { createProxies } from '../../src/artifacts/proxies/proxies.ts'
import { createUpstreamFetch } from '../../src/artifacts/proxies/upstream-fetch.ts'
import { createUpstreamLanes } from '../../src/artifacts/proxies/upstream-lanes.ts'
import { createVirtualDownloads } from '../../src/artifacts/views/virtual-downloads.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { HlcClock } from '../../src/core/hlc.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createUpstreamClient } from '../../src/remotes/upstream/upstream-client.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import type { ArtifactApi } from './artifact-api.ts'
import { testPasswords } from './artifacts.ts'

export interface ProxyServiceDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly warn?: ((message: string, about: Readonly<Record<string, unknown>>) => void) | undefined
}

/** How the server fetches; upstreams on loopback are allowed. */
export function proxyServices({ db, blobs, intake, clock, hlc, warn = () => {} }: ProxyServiceDeps) {
  const client = createUpstreamClient({ clock, rules: { allowPrivate: true } })
  const upstream = createUpstreamFetch({ db, blobs, intake, clock, hlc, client })
  const lanes = createUpstreamLanes(clock, 16)
  const about = { passwords: testPasswords, name: 'entrepot-test', absentMs: 30_000, warn }
  return {
    proxies: createProxies({ db, clock, upstream, lanes, ...about }),
    virtuals: createVirtualDownloads({ db, clock }),
  }
}

/** In the project `demo`, which is made when it is missing. @returns the repository record. */
export async function createProxyRepository(api: ArtifactApi, name: string, category: string, configuration: object) {
  await api.send('POST', '/repository/api/project/create', {
    body: { name: 'demo', displayName: 'demo', description: '' },
  })
  const body = { projectId: 'demo', name, type: 'GENERIC', category, configuration }
  const answer = await api.send('POST', '/repository/api/repo/create', { body })
  assert.equal(answer.status, 200, answer.body.toString())
  return answer.data
}
