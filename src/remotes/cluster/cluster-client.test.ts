import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { listen } from '../../../test/helpers/faulty-proxy.ts'
import type { Digest } from '../../core/digest.ts'
import { pulledFrom } from '../../core/pull-source.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../transport/failures.ts'
import { type ClusterClient, createClusterClient } from './cluster-client.ts'
import type { HelloAnswer, OpenRequest, UploadAnswer } from './messages.ts'

/** A cluster that answers every call with this data. */
const answering = (data: unknown) =>
  replying((outgoing) => outgoing.end(JSON.stringify({ code: 0, message: null, data, traceId: null })))

async function replying(reply: (outgoing: ServerResponse) => void) {
  const server = createServer((incoming, outgoing) => {
    incoming.resume()
    reply(outgoing)
  })
  const clock = manualClock()
  const client = createClusterClient({ url: await listen(server) }, clock)
  return {
    ...{ client, clock },
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
      const why = saying(new RegExp(`speaks sync protocol ${theirs}, this cluster 2`))
      await assert.rejects(older.client.hello(t.signal), why)
      await using opened = await answering({ hello, head: { epoch: 'e', seq: 0, mark: '' }, pure: false })
      await assert.rejects(open(opened.client, t.signal), why)
    }
  })

  it('given a target of protocol 1, which says nothing of itself when opened, then it is refused all the same', async (t) => {
    await using old = await answering({ head: { epoch: 'e', seq: 0, mark: '' }, pure: false })
    await assert.rejects(open(old.client, t.signal), saying(/speaks sync protocol 1, this cluster 2/))
  })

  it('given a server that is no cluster, when greeted, then it does not speak the protocol', async (t) => {
    await using other = await answering({ version: 1 })
    await assert.rejects(other.client.hello(t.signal), saying(/does not speak the sync protocol/))
  })
})

const MIB = 1024 * 1024
const HELLO: HelloAnswer = {
  ...{ protocols: [2], clusterId: 'c', name: 'beta', now: 1 },
  features: {
    zstd: true,
    segments: true,
    duplex: true,
    deletes: true,
    packages: false,
    plans: false,
    checks: false,
    earlierRuns: false,
    sealed: false,
    permissions: false,
  },
  limits: { frameBytes: MIB, inlineMaxBytes: 65_536, partSizeBytes: 16 * MIB, batchItems: 500, missingDigests: 10_000 },
}
const OPEN = { hello: HELLO, head: { epoch: 'e1', seq: 7, mark: 'm' }, pure: true }

describe('answers that are not what they should be', () => {
  it('given answers as they should be, when read, then they come as they are, without what is not known', async (t) => {
    await using good = await answering({ ...OPEN, more: 1, hello: { ...HELLO, more: 1, name: 'be\u0000ta' } })
    const { hello, ...rest } = await open(good.client, t.signal)
    assert.deepEqual(
      [hello, rest],
      [
        { ...HELLO, name: 'be ta' },
        { head: OPEN.head, pure: true },
      ],
    )
    assert.equal(await good.client.greeting(t.signal), hello)
  })

  it('given greetings that make no sense, when read, then it is not our protocol', async (t) => {
    const cases: readonly unknown[] = [
      null,
      [],
      { ...HELLO, protocols: Array(1_000_000).fill(2) },
      { ...HELLO, protocols: [2, '\u001b[2J'] },
      { ...HELLO, protocols: [2, -1] },
      { ...HELLO, clusterId: 'a\u0000b' },
      { ...HELLO, clusterId: 'x'.repeat(201) },
      { ...HELLO, now: '1' },
      { ...HELLO, limits: undefined },
      { ...HELLO, limits: { ...HELLO.limits, inlineMaxBytes: -1 } },
      { ...HELLO, limits: { ...HELLO.limits, missingDigests: 1e300 } },
    ]
    for (const said of cases) {
      await using other = await answering(said)
      await assert.rejects(other.client.hello(t.signal), saying(/sync protocol/), JSON.stringify(said)?.slice(0, 100))
    }
  })

  it('given places in a log that are none, when opened, then it is not our protocol', async (t) => {
    const heads: readonly unknown[] = [
      undefined,
      { ...OPEN.head, epoch: '' },
      { ...OPEN.head, epoch: '\ud800' },
      { ...OPEN.head, seq: -1 },
      { ...OPEN.head, seq: 0.5 },
      { ...OPEN.head, seq: '7' },
      { ...OPEN.head, mark: null },
      { ...OPEN.head, mark: 'm'.repeat(201) },
    ]
    for (const answer of [...heads.map((head) => ({ ...OPEN, head })), { ...OPEN, pure: 'yes' }]) {
      await using other = await answering(answer)
      await assert.rejects(open(other.client, t.signal), saying(/where its change log ends/), JSON.stringify(answer))
    }
  })

  it('given uploads of other bytes, or in senseless parts, when opened, then it is not our protocol', async (t) => {
    const sha256 = 'a'.repeat(64)
    const request = { sha256, sizeBytes: 40_000_000 }
    const good: UploadAnswer = { uploadId: sha256, partSizeBytes: 16 * MIB, have: [0, 2], complete: false }
    const bad: readonly unknown[] = [
      null,
      {},
      { ...good, uploadId: '../../../../evil' },
      { ...good, uploadId: 'b'.repeat(64) },
      ...[0, -1, 1, MIB - 1, 1.5 * MIB + 0.5, 1024 * MIB + 1, '16777216'].map((partSizeBytes) => ({
        ...good,
        partSizeBytes,
      })),
      ...[undefined, 'all', [3], [-1], [0.5], ['0']].map((have) => ({ ...good, have })),
      { ...good, complete: 1 },
    ]
    for (const answer of bad) {
      await using other = await answering(answer)
      const opening = other.client.openUpload(request, t.signal)
      await assert.rejects(opening, saying(/as the sync protocol has it/), JSON.stringify(answer))
    }
    for (const answer of [good, { ...good, partSizeBytes: 40_000_000, have: [] }, { ...good, partSizeBytes: MIB }]) {
      await using other = await answering(answer)
      assert.deepEqual(await other.client.openUpload(request, t.signal), answer)
    }
  })

  it('given refusals with texts that no record takes, when called, then they are cut and cleaned', async (t) => {
    const cases: readonly (readonly [unknown, string])[] = [
      ['y'.repeat(9_000_000), `${'y'.repeat(1_000)} (250105)`],
      ['nul \u0000 and \u001b[2J \ud800', 'nul   and  [2J \ufffd (250105)'],
      [{ toString: 1 }, 'refused (250105)'],
      [null, 'refused (250105)'],
    ]
    for (const [message, expected] of cases) {
      await using other = await replying((outgoing) => {
        outgoing.statusCode = 400
        outgoing.end(JSON.stringify({ code: 250105, message }))
      })
      const isRefusal = (error: unknown) => error instanceof RemoteRefusal && error.message === expected
      await assert.rejects(other.client.hello(t.signal), isRefusal)
    }
    await using odd = await answering(undefined)
    await assert.rejects(odd.client.hello(t.signal), NotOurProtocol)
  })

  it('given an answer that drips in, or none, when five minutes passed since the request, then the link is down', async (t) => {
    for (const reply of [(outgoing: ServerResponse) => void outgoing.write(' '), () => undefined]) {
      await using slow = await replying(reply)
      const { client, clock } = slow
      const calls = [
        () => client.hello(t.signal),
        () => client.missing([`sha256:${'a'.repeat(64)}` as Digest], t.signal),
        () => client.reconcile('demo', 'files', Buffer.alloc(2), t.signal),
        () =>
          client.putBlob(
            `sha256:${'a'.repeat(64)}` as Digest,
            1,
            pulledFrom(Readable.from([Buffer.alloc(1)])),
            t.signal,
          ),
      ]
      for (const call of calls) {
        const calling = assert.rejects(call(), (error) => error instanceof LinkDown && /300000 ms/.test(error.message))
        await clock.untilSleeping()
        await clock.advance(300_000)
        await calling
      }
    }
  })
})
