import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { listen } from '../../../test/helpers/faulty-proxy.ts'
import { NotOurProtocol } from '../transport/failures.ts'
import { type ClusterClient, createClusterClient } from './cluster-client.ts'
import type { OpenRequest } from './messages.ts'

/** A cluster that answers every call with this data. */
async function answering(data: unknown) {
  const server = createServer((incoming, outgoing) => {
    incoming.resume()
    outgoing.end(JSON.stringify({ code: 0, message: null, data, traceId: null }))
  })
  const client = createClusterClient({ url: await listen(server) }, manualClock())
  return {
    client,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
const saying = (why: RegExp) => (error: unknown) => error instanceof NotOurProtocol && why.test(error.message)
const open = (client: ClusterClient, signal: AbortSignal) => client.open('a'.repeat(32), {} as OpenRequest, signal)

describe('clusters of other releases', () => {
  it('given an older or newer protocol, when greeted or opened, then the refusal names both versions', async (t) => {
    for (const [protocols, theirs] of [
      [[1], '1'],
      [[3, 4], '3, 4'],
    ] as const) {
      const hello = { protocols, clusterId: 'x', name: 'x', now: 0, limits: {} }
      await using older = await answering(hello)
      const why = saying(new RegExp(`speaks sync protocol ${theirs}, not 2`))
      await assert.rejects(older.client.hello(t.signal), why)
      await using opened = await answering({ hello, head: { epoch: 'e', seq: 0, mark: '' }, pure: false })
      await assert.rejects(open(opened.client, t.signal), why)
    }
  })

  it('given a target of protocol 1, which says nothing of itself when opened, then it is refused all the same', async (t) => {
    await using old = await answering({ head: { epoch: 'e', seq: 0, mark: '' }, pure: false })
    await assert.rejects(open(old.client, t.signal), saying(/older sync protocol than 2/))
  })

  it('given a server that is no cluster, when greeted, then it does not speak the protocol', async (t) => {
    await using other = await answering({ version: 1 })
    await assert.rejects(other.client.hello(t.signal), saying(/does not speak the sync protocol/))
  })
})
