import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { buffer, json } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { AS_ADMIN, edge } from '../../../test/helpers/edge.ts'
import { BEGIN, entryOf } from '../../../test/helpers/frames.ts'
import { packBundle } from '../../remotes/cluster/frames/bundle.ts'
import { encodeFrame } from '../../remotes/cluster/frames/frame-encoder.ts'
import { FIRST_CREDIT_BYTES, FRAME_BYTES, FRAMES_MEDIA_TYPE } from '../../remotes/cluster/frames/frame-limits.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { streamRoutes } from './stream-routes.ts'

const INLINE = 65_536
const PATH = `/sync/v1/links/${'a'.repeat(32)}/stream`
const HEADERS = { ...AS_ADMIN, 'content-type': FRAMES_MEDIA_TYPE }
const HEAD = encodeFrame({ type: 'begin', begin: BEGIN })

async function start(receive: SyncTarget['receive']) {
  const clock = manualClock()
  const server = await edge(() => [streamRoutes({ target: { receive }, inlineMaxBytes: INLINE, clock })])
  const port = await server.listen()
  return {
    clock,
    /** A request whose body is not at its end. */
    open: () => request({ port, host: '127.0.0.1', path: PATH, method: 'POST', agent: false, headers: HEADERS }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
const answerOf = async (call: ClientRequest) => ((await once(call, 'response')) as [IncomingMessage])[0]

describe('the limits of a stream', () => {
  it('given a source that sends no BEGIN, or pings alone, when 10 s have passed, then it is refused', async () => {
    const receive: SyncTarget['receive'] = async (_link, frames) => {
      for await (const _batch of frames) assert.fail('nothing is to come')
    }
    for (const first of [HEAD.subarray(0, 7), encodeFrame({ type: 'barrier', seq: 1 }).subarray(0, 4)]) {
      await using on = await start(receive)
      const call = on.open()
      call.on('error', () => undefined)
      call.write(first)
      await on.clock.untilSleeping()
      const answer = answerOf(call)
      await on.clock.advance(10_000)
      const response = await answer
      const { code, message } = (await json(response)) as { code: number; message: string }
      assert.deepEqual([response.statusCode, code], [400, 250106])
      assert.match(message, /no BEGIN came within 10000 ms/)
      call.destroy()
    }
  })

  it('given a source that sends more than its credit, packed or not, when nothing is settled, then it is refused in time', async () => {
    const content = Buffer.alloc(60_000)
    const item = (n: number) => encodeFrame(entryOf(n, { content, sizeBytes: content.length }))
    const most = FIRST_CREDIT_BYTES + FRAME_BYTES + INLINE
    for (const pack of [(frames: Buffer) => frames, packBundle]) {
      let held = 0
      const receive: SyncTarget['receive'] = async (_link, frames) => {
        for await (const batch of frames) {
          for (const frame of batch) if (frame.type === 'entry') held += frame.sizeBytes
        }
      }
      await using on = await start(receive)
      const call = on.open()
      call.on('error', () => undefined)
      const pieces: Buffer[] = []
      for (let n = 1; n <= 1_000; n += 10) {
        pieces.push(pack(Buffer.concat(Array.from({ length: 10 }, (_, index) => item(n + index)))))
      }
      const answer = answerOf(call)
      call.end(Buffer.concat([HEAD, ...pieces]))
      const response = await answer
      assert.equal(response.statusCode, 400)
      assert.match((await buffer(response)).toString(), /more than the credit of the stream/)
      assert.ok(held <= most && held > most - 2 * FRAME_BYTES, `${held}`)
    }
  })

  it('given 64 streams of a user, when one more begins, then it is told to come again, and may when one of them has ended', async () => {
    const receive: SyncTarget['receive'] = async (_link, frames, reply) => {
      for await (const batch of frames) {
        if (batch[0]?.type === 'begin') await reply({ type: 'ack', hi: 0, seq: 0, exceptions: [] })
        if (batch.at(-1)?.type === 'end') await reply({ type: 'end' })
      }
    }
    await using on = await start(receive)
    const begin = async () => {
      const call = on.open()
      call.on('error', () => undefined)
      call.write(HEAD)
      return { call, response: await answerOf(call) }
    }
    const open: Awaited<ReturnType<typeof begin>>[] = []
    for (let n = 0; n < 64; n++) open.push(await begin())
    const { call, response } = await begin()
    assert.deepEqual([response.statusCode, response.headers['retry-after']], [429, '1'])
    assert.match((await buffer(response)).toString(), /250124/)
    call.destroy()
    const [first] = open
    first!.call.end(encodeFrame({ type: 'end' }))
    await buffer(first!.response)
    const next = await begin()
    assert.equal(next.response.statusCode, 200)
    for (const { call: each } of [...open, next]) each.destroy()
  })
})
