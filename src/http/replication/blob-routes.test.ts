import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import { AS_ADMIN, AS_ANN, edge } from '../../../test/helpers/edge.ts'
import type { Digest } from '../../core/digest.ts'
import { createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { RemoteRefusal } from '../../remotes/transport/failures.ts'
import { blobRoutes } from './blob-routes.ts'

const URL = '/sync/v1/blobs/missing'
const OCTETS = { 'content-type': 'application/octet-stream' }
const clock = manualClock()

/** A target that lacks every third digest it is asked for. */
const start = () => {
  const missing = async (digests: readonly Digest[]) => {
    const bits = Buffer.alloc(Math.ceil(digests.length / 8))
    for (const n of digests.keys()) if (n % 3 === 0) bits[n >> 3]! |= 0x80 >> (n & 7)
    return bits
  }
  const stored = {
    check: async (digests: readonly Digest[]) => ({
      ...{ done: digests.length, bytes: 7 },
      wrong: digests.flatMap((_, at) => (at % 3 === 0 ? [{ at, fault: 'DAMAGED' as const }] : [])),
    }),
  }
  return edge(() => [blobRoutes({ target: { missing, missingInStorage: missing, stored }, clock })])
}

describe('POST /sync/v1/blobs/missing', () => {
  it('given a source that asks by its client, when some are missing, then it learns which', async (t) => {
    await using server = await start()
    const url = `http://127.0.0.1:${await server.listen()}`
    using client = createClusterClient({ url, username: 'admin', password: 'admin' }, clock)
    const digests = Array.from({ length: 10 }, (_, n) => digestOf(`${n}`))
    assert.deepEqual(
      [...(await client.missing(digests, t.signal))],
      [0, 3, 6, 9].map((n) => digests[n]),
    )
    assert.deepEqual(await client.missing([], t.signal), new Set())
  })

  it('given a source that wants bytes to be read again, when it asks by its client, then it learns which are wrong', async (t) => {
    await using server = await start()
    const url = `http://127.0.0.1:${await server.listen()}`
    using client = createClusterClient({ url, username: 'admin', password: 'admin' }, clock)
    const digests = Array.from({ length: 5 }, (_, n) => digestOf(`${n}`))
    const wrong = [0, 3].map((at) => ({ at, fault: 'DAMAGED' }))
    assert.deepEqual(await client.checkStored(digests, t.signal), { done: 5, wrong, bytes: 7 })
  })

  it('given somebody who may not write, when he asks, then his client hears the refusal', async (t) => {
    await using server = await start()
    const url = `http://127.0.0.1:${await server.listen()}`
    using client = createClusterClient({ url, username: 'ann', password: 'ann' }, clock)
    const isDenied = (error: unknown) => error instanceof RemoteRefusal && error.status === 403
    await assert.rejects(client.missing([digestOf('a')], t.signal), isDenied)
  })

  it('given a body that is no list of digests, too long, or without its length, when it comes, then it is refused', async () => {
    await using server = await start()
    const bodies = [Buffer.alloc(33), Buffer.alloc(32 * 10_001)]
    for (const payload of bodies) {
      const answer = await server.app.inject({ method: 'POST', url: URL, headers: { ...AS_ADMIN, ...OCTETS }, payload })
      assert.deepEqual([answer.statusCode, answer.json().code], [400, 250106])
    }
    const bare = await server.app.inject({ method: 'POST', url: URL, headers: { ...AS_ADMIN, ...OCTETS } })
    assert.equal(bare.statusCode, 400)
    const anns = await server.app.inject({ method: 'POST', url: URL, headers: { ...AS_ANN, ...OCTETS } })
    assert.equal(anns.statusCode, 403)
  })
})
