import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createDifferences } from './differences.ts'
import { sampleVersions } from './sample-versions.ts'
import type { ScratchClient } from './scratch-client.ts'

const signal = new AbortController().signal
const NOW = Date.UTC(2026, 0, 1)
const place = { projectId: 'demo', repoName: 'rds' }
const version = (name: string) => ({
  ...{ ...place, packageKey: 'rds://tool', name, artifactPath: `/${name}/main` },
  files: [{ path: `/${name}/main`, role: 'main' }],
})
const node = (fullPath: string, expireDate: string | null) => ({ ...place, fullPath, expireDate })

it('given versions that are not there, when one of them has a file whose time is over, then only the other one is a difference', async () => {
  const files = new Map<string, readonly object[]>([
    ['versions', [version('here'), version('over'), version('lost'), version('empty')]],
    ['nodes', [node('/over/main', '2025-12-31T00:00:00.000Z'), node('/lost/main', '2026-12-31T00:00:00.000Z')]],
  ])
  const reader = {
    async *records(path: string) {
      yield* files.get(path)!.map((record) => JSON.stringify(record))
    },
  }
  const read = async (path: string) => {
    if (path === 'empty') return { status: 200, sha256: '', sizeBytes: 0 }
    return path === 'here' ? { status: 200, sha256: '', sizeBytes: 1 } : { status: 404, sha256: '', sizeBytes: 0 }
  }
  const differences = createDifferences()
  const records = { versions: 'versions', nodes: 'nodes' }
  const format = { versionPath: (_: unknown, _key: string, name: string) => name }
  const client = { read } as unknown as ScratchClient
  const samples = await sampleVersions(reader, records, format, client, () => NOW, differences, signal)
  assert.equal(samples, 4)
  assert.deepEqual(differences.shown, [
    { path: 'demo/rds: rds://tool lost', reason: 'its clients are answered with 404' },
    { path: 'demo/rds: rds://tool empty', reason: 'its clients get nothing' },
  ])
})
