import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { AS_ADMIN, AS_ANN, edge } from '../../../test/helpers/edge.ts'
import { memoryFingerprints } from '../../../test/helpers/memory-fingerprints.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { AppError } from '../../core/errors.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { MAX_MESSAGE_BYTES } from '../../remotes/cluster/recon/recon-message.ts'
import { createReconWriter } from '../../remotes/cluster/recon/recon-writer.ts'
import { reconcile } from '../../replication/recon/reconcile.ts'
import { reconRoutes } from './recon-routes.ts'

const URL = '/sync/v1/repos/p/r%C3%A9%201/recon'
const clock = manualClock()
const row = (path: string, lane: number) => {
  return { path, content: [lane, 2, 3, 4], metadata: [lane, 6, 7, 8] } as const
}
const repositories = {
  async get(project: string, name: string) {
    if (project !== 'p' || name !== 'ré 1') throw new AppError('REPOSITORY_NOT_FOUND', 'Repository not found', {})
    return { id: 7 } as Repository
  },
}
const target = memoryFingerprints([row('/a', 1), row('/b', 2), row('/theirs', 3)])
const start = () => {
  const fingerprintsOf = (repoId: number) => {
    assert.equal(repoId, 7)
    return target
  }
  return edge(() => [reconRoutes({ repositories, fingerprintsOf, clock })])
}
const OCTETS = { 'content-type': 'application/octet-stream' }

describe('POST /sync/v1/repos/{project}/{repo}/recon', () => {
  it('given a source that asks by its client, when it reconciles, then it learns where the target differs', async (t) => {
    await using server = await start()
    const url = `http://127.0.0.1:${await server.listen()}`
    using client = createClusterClient({ url, username: 'admin', password: 'admin' }, clock)
    const found = await reconcile(
      {
        local: memoryFingerprints([row('/a', 1), row('/b', 9), row('/ours', 4)]),
        ask: (message, signal) => client.reconcile('p', 'ré 1', message, signal),
        scope: [EVERY_PATH],
        compared: 'content+metadata',
        ledger: [],
      },
      t.signal,
    )
    assert.deepEqual(found.missing, ['/ours'])
    assert.deepEqual(
      found.differing.map(({ path }) => path),
      ['/b'],
    )
    assert.deepEqual(found.foreign, [row('/theirs', 3)])
    assert.equal(found.complete, true)
  })
  it('given more messages than are answered at once, when they come together, then two are worked on and the others wait in order', async () => {
    let [atOnce, most, answered] = [0, 0, 0]
    const slow = {
      ...target,
      async sums(...args: Parameters<typeof target.sums>) {
        most = Math.max(most, ++atOnce)
        for (let n = 0; n < 20; n++) await setImmediate()
        atOnce--
        answered++
        return target.sums(...args)
      },
    }
    await using server = await edge(() => [reconRoutes({ repositories, fingerprintsOf: () => slow, clock })])
    const writer = createReconWriter('content')
    writer.add([{ mode: 'fingerprint', range: { lo: '/c', hi: '/d' }, fingerprint: Buffer.alloc(16) }])
    const payload = writer.end()
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        server.app.inject({ method: 'POST', url: URL, headers: { ...AS_ADMIN, ...OCTETS }, payload }),
      ),
    )
    assert.deepEqual(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
    assert.equal(most, 2)
    assert.ok(answered >= 10)
  })
  it('given another repository, when a message comes, then the answer is 404 in the envelope', async (t) => {
    await using server = await start()
    const url = `http://127.0.0.1:${await server.listen()}`
    using client = createClusterClient({ url, username: 'admin', password: 'admin' }, clock)
    await assert.rejects(
      client.reconcile('p', 'none', Buffer.from([1, 0]), t.signal),
      /Repository not found \(251006\)/,
    )
  })
  it('given no administrator, when a message comes, then it is refused', async () => {
    await using server = await start()
    const ask = (headers: Record<string, string>) =>
      server.app.inject({ method: 'POST', url: URL, headers: { ...OCTETS, ...headers }, payload: Buffer.from([1, 0]) })
    assert.equal((await ask({})).statusCode, 401)
    assert.equal((await ask(AS_ANN)).statusCode, 403)
    assert.equal((await ask(AS_ADMIN)).statusCode, 200)
  })
  it('given a body that is too long or no message, when it comes, then the answer says so', async () => {
    await using server = await start()
    const ask = async (payload: Buffer) => {
      const answer = await server.app.inject({ method: 'POST', url: URL, headers: { ...OCTETS, ...AS_ADMIN }, payload })
      return [answer.statusCode, answer.json().code]
    }
    assert.deepEqual(await ask(Buffer.alloc(MAX_MESSAGE_BYTES + 1, 1)), [400, 250106])
    assert.deepEqual(await ask(Buffer.from([1, 0, 9])), [400, 250106])
    assert.deepEqual(await ask(Buffer.from([2, 0])), [400, 250316])
  })
})
