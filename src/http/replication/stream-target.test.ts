import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeSqlite } from '../../../test/helpers/databases.ts'
import { edge } from '../../../test/helpers/edge.ts'
import { entry, LINK, type StreamTarget, streamTarget } from '../../../test/helpers/stream-target.ts'
import { createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import { SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import { RemoteRefusal } from '../../remotes/transport/failures.ts'
import { streamRoutes } from './stream-routes.ts'

const SILENT = { sent: () => undefined, acknowledged: () => undefined }

/** A client of a target, over loopback. */
async function line(target: StreamTarget) {
  const server = await edge(() => [streamRoutes({ target, inlineMaxBytes: 65_536, clock: target.clock })])
  const url = `http://127.0.0.1:${await server.listen()}`
  const client = createClusterClient({ url, username: 'admin', password: 'admin' }, target.clock)
  return {
    open: (more: Parameters<StreamTarget['begin']>[0], signal: AbortSignal) =>
      client.openStream(LINK, { ...target.begin(more), protocol: SYNC_PROTOCOL }, SILENT, signal),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
const item = (path: string, text: string): OutgoingItem => {
  const { item: _, ...outgoing } = entry(0, path, text)
  return outgoing
}

describe('a stream from client to database', () => {
  it('given files and a conflict, when they are sent, then they are written and the source hears what became of each', async (t) => {
    await using db = await makeSqlite()
    const target = await streamTarget(db)
    const standing = await target.write('/b', 'local')
    await using to = await line(target)
    await using stream = to.open({}, t.signal)
    const sent = Promise.all([
      stream.send([item('/a', 'one'), item('/b', 'two')]),
      stream.send([item('/c', 'x'.repeat(65_536))]),
    ])
    await stream.end()
    const { contentLanes: content, metadataLanes: metadata } = standing
    assert.deepEqual(await sent, [
      [
        { result: 'written', reason: '', remote: null },
        { result: 'kept', reason: '', remote: { content, metadata } },
      ],
      [{ result: 'written', reason: '', remote: null }],
    ])
    const { '/a': a, '/c': c } = await target.files()
    assert.deepEqual([a, c?.length], ['one', 65_536])
  })

  it('given a higher fence before, when a zombie sends, then it hears that it is one', async (t) => {
    await using db = await makeSqlite()
    const target = await streamTarget(db)
    await target.deliver([], { fence: 2 })
    await using to = await line(target)
    await using zombie = to.open({ fence: 1 }, t.signal)
    const isFenced = (error: unknown) => error instanceof RemoteRefusal && error.wireCode === 250350
    await assert.rejects(zombie.send([item('/a', 'one')]), isFenced)
    assert.deepEqual(await target.files(), {})
  })

  it('given a repository that was replaced, when a stream begins, then the source hears it as ever', async (t) => {
    await using db = await makeSqlite()
    const target = await streamTarget(db)
    await using to = await line(target)
    await using stream = to.open({ epoch: 'another' }, t.signal)
    const isReplaced = (error: unknown) => error instanceof RemoteRefusal && error.wireCode === 250133
    await assert.rejects(stream.send([item('/a', 'one')]), isReplaced)
  })
})
