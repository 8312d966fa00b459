import assert from 'node:assert/strict'
import { createServer, request as forward, type Server } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { type ManualClock, manualClock } from '../../../test/helpers/clock.ts'
import { type Edge, edge } from '../../../test/helpers/edge.ts'
import { listen } from '../../../test/helpers/faulty-proxy.ts'
import { BEGIN, entryOf } from '../../../test/helpers/frames.ts'
import { AppError } from '../../core/errors.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { FrameStream, ItemOutcome, OutgoingItem, StreamProgress } from '../../remotes/cluster/frame-stream.ts'
import type { ItemException, SourceFrame } from '../../remotes/cluster/frames/frame.ts'
import { FIRST_CREDIT_BYTES } from '../../remotes/cluster/frames/frame-limits.ts'
import {
  createFrameStream,
  type StreamTransport,
  type StreamWay,
} from '../../remotes/cluster/stream/frame-stream-client.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../../remotes/transport/failures.ts'
import { createHttpClient } from '../../remotes/transport/http-client.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { streamRoutes } from './stream-routes.ts'

type Receive = SyncTarget['receive']
type Reply = Parameters<Receive>[2]

const LINK = 'a'.repeat(32)
const SILENT = { sent: () => undefined, acknowledged: () => undefined }
const INLINE = 65_536
const LIMITS = { connections: 1, idleMs: 20_000, answerMs: 60_000, maxAnswerBytes: 1_000_000 }

interface Line extends AsyncDisposable {
  readonly e: Edge
  readonly client: ClusterClient
  readonly clock: ManualClock
  readonly url: string
  open(progress?: StreamProgress): FrameStream
}

/** A source and a target with this receiver, over loopback. @param through gives the address that the source calls. */
async function line(
  receive: Receive,
  signal: AbortSignal,
  {
    through,
    password = 'admin',
  }: { readonly through?: (url: string) => Promise<string>; readonly password?: string } = {},
): Promise<Line> {
  const e = await edge(() => [streamRoutes({ target: { receive }, inlineMaxBytes: INLINE, clock: manualClock() })])
  const own = `http://127.0.0.1:${await e.listen()}`
  const url = through === undefined ? own : await through(own)
  const clock = manualClock()
  const client = createClusterClient({ url, username: 'admin', password }, clock)
  return {
    ...{ e, client, clock, url },
    open: (progress: StreamProgress = SILENT) => client.openStream(LINK, BEGIN, progress, signal),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
      await e[Symbol.asyncDispose]()
    },
  }
}

const item = (n: number, bytes = 10): Extract<OutgoingItem, { type: 'entry' }> => {
  const { item: _, ...entry } = entryOf(n, { content: Buffer.alloc(bytes, n), sizeBytes: bytes })
  return entry
}
const items = (from: number, to: number, bytes?: number): OutgoingItem[] =>
  Array.from({ length: to - from + 1 }, (_, index) => item(from + index, bytes))
const numberOf = (frame: SourceFrame): number => ('item' in frame ? frame.item : 0)

/** Answers every batch at once; what `exceptions` names is excepted. */
const acknowledging =
  (exceptions: readonly ItemException[] = [], seen: SourceFrame[] = []): Receive =>
  async (_link, frames, reply) => {
    let settled = 0
    for await (const batch of frames) {
      seen.push(...batch)
      const hi = Math.max(settled, ...batch.map(numberOf))
      const among = exceptions.filter(({ item: n }) => n > settled && n <= hi)
      if (hi > settled) await reply({ type: 'ack', hi, seq: 0, exceptions: among })
      settled = hi
      if (batch.at(-1)?.type === 'end') await reply({ type: 'end' })
    }
  }
const written: ItemOutcome = { result: 'written', reason: '', remote: null }

describe('the stream of a link', () => {
  it('given sends at the same time, when acknowledged, then each has its outcomes in its order, and both ends end', async (t) => {
    const kept: ItemException = {
      item: 4,
      result: 'kept',
      reason: '',
      remote: { content: [1, 2, 3, 4], metadata: [0, 0, 0, 0] },
    }
    const seen: SourceFrame[] = []
    await using on = await line(acknowledging([kept], seen), t.signal)
    let [sentBytes, acknowledgements] = [0, 0]
    await using stream = on.open({
      sent(bytes) {
        sentBytes += bytes
      },
      acknowledged() {
        acknowledgements++
      },
    })
    const all = await Promise.all([
      stream.send(items(1, 3)),
      stream.send(items(4, 4)),
      stream.send([]),
      stream.send(items(5, 9)),
    ])
    assert.deepEqual(all, [
      [written, written, written],
      [{ result: 'kept', reason: '', remote: kept.remote }],
      [],
      Array(5).fill(written),
    ])
    await stream.end()
    assert.deepEqual(seen, [
      { type: 'begin', begin: BEGIN },
      ...items(1, 9).map((one, n) => ({ ...one, item: n + 1 })),
      { type: 'end' },
    ])
    assert.equal(sentBytes, 90)
    assert.ok(acknowledgements > 0)
  })

  it('given a stream that ended, when another begins, then it takes the same connection', async (t) => {
    await using on = await line(acknowledging(), t.signal)
    let connections = 0
    on.e.app.server.on('connection', () => connections++)
    for (let n = 0; n < 3; n++) {
      await using stream = on.open()
      await stream.send(items(1, 10))
      await stream.end()
    }
    assert.equal(connections, 1)
  })

  it('given nothing to send, when ended, then nothing is called', async (t) => {
    const seen: SourceFrame[] = []
    await using on = await line(acknowledging([], seen), t.signal)
    await using stream = on.open()
    await stream.end()
    assert.deepEqual(seen, [])
  })

  it('given a target that does not settle, when more than the credit is sent, then it stops there until it does', async (t) => {
    const gate = Promise.withResolvers<void>()
    const filled = Promise.withResolvers<void>()
    let bytes = 0
    let mostUnsettled = 0
    const receive: Receive = async (_link, frames, reply) => {
      let [hi, held] = [0, 0]
      for await (const batch of frames) {
        for (const frame of batch) {
          if (frame.type !== 'entry') continue
          bytes += frame.sizeBytes
          held += frame.sizeBytes
          hi = frame.item
        }
        mostUnsettled = Math.max(mostUnsettled, held)
        if (bytes > FIRST_CREDIT_BYTES - 200_000) filled.resolve()
        if (bytes < FIRST_CREDIT_BYTES - 200_000 || held === 0) continue
        await gate.promise
        held = 0
        await reply({ type: 'ack', hi, seq: 0, exceptions: [] })
      }
      await reply({ type: 'end' })
    }
    await using on = await line(receive, t.signal)
    await using stream = on.open()
    const sending = stream.send(items(1, 800, 60_000))
    await filled.promise
    gate.resolve()
    assert.equal((await sending).length, 800)
    assert.ok(bytes === 800 * 60_000)
    assert.ok(mostUnsettled < FIRST_CREDIT_BYTES + 500_000, `${mostUnsettled}`)
    await stream.end()
  })

  it('given 100,000 items, when sent as fast as the target takes them, then neither side holds them all', async (t) => {
    await using on = await line(acknowledging(), t.signal)
    await using stream = on.open()
    const batch = items(1, 1_000, 1_000)
    await stream.send(batch)
    globalThis.gc?.()
    const before = process.memoryUsage().rss
    for (let n = 0; n < 100; n++) await stream.send(batch)
    await stream.end()
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < 150 * 1024 * 1024, `${grown} bytes more for 100 MB`)
  })

  it('given an item that fits no frame, when sent with others, then it alone is refused', async (t) => {
    await using on = await line(acknowledging(), t.signal)
    await using stream = on.open()
    const [first, second, third] = await stream.send([
      item(1),
      { ...item(2), path: `/${'x'.repeat(2 ** 20)}` },
      item(3),
    ])
    assert.deepEqual([first, third], [written, written])
    assert.equal(second?.result, 'refused')
    assert.match(second?.reason ?? '', /more than 1048576/)
  })
})

describe('a stream that fails', () => {
  const failing =
    (fail: (reply: Reply) => Promise<void>): Receive =>
    async (_link, frames, reply) => {
      let hi = 0
      for await (const batch of frames) {
        hi = Math.max(hi, ...batch.map(numberOf))
        if (hi === 0) continue
        await reply({ type: 'ack', hi, seq: 0, exceptions: [] })
        if (hi >= 5) return fail(reply)
      }
    }
  const refusal = (status: number, wireCode: number) => (error: unknown) =>
    error instanceof RemoteRefusal && error.status === status && error.wireCode === wireCode

  it('given a target that was taken over, refuses, or breaks in mid-stream, when sent to, then all sends fail with that', async (t) => {
    const gone = new AppError('PRECONDITION_FAILED', 'another epoch', {})
    const cases = [
      { fail: (reply: Reply) => reply({ type: 'fenced', fence: 9 }), is: refusal(409, 250350) },
      { fail: () => Promise.reject(gone), is: refusal(412, 250133) },
      { fail: () => Promise.reject(new TypeError('a defect')), is: refusal(500, 250102) },
      { fail: async () => undefined, is: (error: unknown) => error instanceof LinkDown },
    ]
    for (const { fail, is } of cases) {
      await using on = await line(failing(fail), t.signal)
      await using stream = on.open()
      assert.deepEqual(await stream.send(items(1, 3)), [written, written, written])
      await stream.send(items(4, 5))
      await assert.rejects(async () => {
        for (;;) await stream.send(items(1, 1))
      }, is)
      await assert.rejects(stream.end(), is)
      await assert.rejects(stream.send(items(1, 1)), is)
    }
  })

  it('given wrong credentials, another protocol or a bad link, when opened, then the envelope tells', async (t) => {
    const protocol1 = { ...BEGIN, protocol: 1 }
    await using stranger = await line(acknowledging(), t.signal, { password: 'x:y' })
    const wrong = createClusterClient({ url: stranger.url, username: 'nobody', password: 'x' }, stranger.clock)
    await assert.rejects(wrong.openStream(LINK, BEGIN, SILENT, t.signal).send(items(1, 1)), refusal(401, 250114))
    wrong[Symbol.dispose]()
    const old = stranger.client.openStream(LINK, protocol1, SILENT, t.signal)
    await assert.rejects(
      old.send(items(1, 1)),
      (e) => refusal(400, 250316)(e) && /protocol 1/.test((e as Error).message),
    )
    const bad = stranger.client.openStream('xyz', BEGIN, SILENT, t.signal)
    await assert.rejects(bad.send(items(1, 1)), refusal(400, 250105))
  })

  it('given a server that answers something else, when opened, then it is not our protocol', async (t) => {
    const answers: readonly [number, string, string][] = [
      [200, 'text/html', 'hello'],
      [200, 'application/vnd.entrepot.frames', 'hello, this is no frame'],
      [404, 'text/html', 'nothing here'],
    ]
    for (const [status, type, text] of answers) {
      const server = createServer((_request, response) =>
        response.writeHead(status, { 'content-type': type }).end(text),
      )
      const client = createClusterClient({ url: await listen(server) }, manualClock())
      const stream = client.openStream(LINK, BEGIN, SILENT, t.signal)
      await assert.rejects(stream.send(items(1, 1)), (error) => error instanceof NotOurProtocol, text)
      client[Symbol.dispose]()
      closeServer(server)
    }
  })

  it('given a connection that is cut anywhere, when sent over, then sends fail with LinkDown and none is lost unsaid', async (t) => {
    for (const bytes of [0, 1, 100, 400, 5_000, 70_000, 300_000]) {
      const seen: SourceFrame[] = []
      let cut: { close(): void } | undefined
      await using on = await line(acknowledging([], seen), t.signal, {
        async through(url) {
          const proxy = await cuttingProxy(url, bytes)
          cut = proxy
          return proxy.url
        },
      })
      await using stream = on.open()
      const sends = Array.from({ length: 20 }, (_, n) => stream.send(items(n * 5 + 1, n * 5 + 5, 5_000)))
      const settled = await Promise.allSettled(sends)
      const failures = settled.filter((one) => one.status === 'rejected')
      assert.ok(failures.length > 0, `cut after ${bytes}`)
      for (const { reason } of failures) assert.ok(reason instanceof LinkDown, String(reason))
      const ok = settled.filter((one) => one.status === 'fulfilled').length
      assert.ok(seen.filter(({ type }) => type === 'entry').length >= ok * 5)
      cut?.close()
    }
  })

  it('given a target that never answers, when 30 s passed, then the line is down', async (t) => {
    const server = createServer(() => undefined)
    const clock = manualClock()
    const client = createClusterClient({ url: await listen(server) }, clock)
    const sending = client.openStream(LINK, BEGIN, SILENT, t.signal).send(items(1, 1))
    await clock.untilSleeping(2)
    await clock.advance(29_000)
    await Promise.all([clock.advance(1_000), assert.rejects(sending, (error) => error instanceof LinkDown)])
    client[Symbol.dispose]()
    closeServer(server)
  })

  it('given an idle stream, when time passes, then pings keep it alive', async (t) => {
    await using on = await line(acknowledging(), t.signal)
    await using stream = on.open()
    await stream.send(items(1, 1))
    for (let n = 0; n < 20; n++) {
      await on.clock.untilSleeping()
      await on.clock.advance(7_500)
      // The answer to the ping comes before that of what follows it.
      await stream.send(items(1, 1))
    }
    await stream.end()
  })

  it('given a signal, when it aborts, then sends fail with its reason and the target hears of it', async (t) => {
    const [reached, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const receive: Receive = async (_link, frames, _reply, signal) => {
      signal.addEventListener('abort', () => gone.resolve())
      for await (const _ of frames) reached.resolve()
    }
    await using on = await line(receive, t.signal)
    const stop = new AbortController()
    await using stream = on.client.openStream(LINK, BEGIN, SILENT, stop.signal)
    const sending = stream.send(items(1, 1))
    await reached.promise
    stop.abort(new Error('lease lost'))
    await assert.rejects(sending, /lease lost/)
    await assert.rejects(stream.end(), /lease lost/)
    await gone.promise
  })

  it('given a target that stops, when a stream runs, then what came is settled, the rest is an outage, and the stop waits for neither', async (t) => {
    await using on = await line(acknowledging(), t.signal)
    await using stream = on.open()
    assert.deepEqual(await stream.send(items(1, 1)), [written])
    const closing = on.e.app.close()
    await assert.rejects(async () => {
      for (;;) await stream.send(items(1, 1))
    }, LinkDown)
    await closing
  })
})

describe('a way that buffers', () => {
  /** Passes on bodies and answers once they are whole. */
  async function bufferingProxy(url: string, bodies: number[]): Promise<{ server: Server; url: string }> {
    const server = createServer(async (incoming, outgoing) => {
      const body = await buffer(incoming)
      bodies.push(body.length)
      const headers = { ...incoming.headers, 'content-length': String(body.length) }
      delete (headers as Record<string, unknown>)['transfer-encoding']
      const onward = forward(
        url + incoming.url,
        { method: incoming.method!, headers, agent: false },
        async (answer) => {
          const whole = await buffer(answer)
          outgoing.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type']! }).end(whole)
        },
      )
      onward.end(body)
    })
    return { server, url: await listen(server) }
  }

  it('given a proxy that passes on whole bodies only, when sent over, then requests of at most 8 MiB, and every later stream goes so', async (t) => {
    const bodies: number[] = []
    let server: Server | undefined
    const refused: ItemException = { item: 3, result: 'refused', reason: 'no', remote: null }
    await using on = await line(acknowledging([refused]), t.signal, {
      async through(url) {
        const proxy = await bufferingProxy(url, bodies)
        server = proxy.server
        return proxy.url
      },
    })
    await using stream = on.open()
    const sending = stream.send(items(1, 500, 60_000))
    await on.clock.untilSleeping(2)
    await until(on.clock, () => bodies.length > 0)
    const outcomes = await sending
    await stream.end()
    assert.equal(outcomes.filter(({ result }) => result === 'written').length, 500 - bodies.length)
    assert.ok(bodies.length >= 4)
    for (const bytes of bodies) assert.ok(bytes <= 9 * 1024 * 1024, `${bytes}`)
    bodies.length = 0
    await using later = on.open()
    assert.deepEqual(await later.send(items(1, 2)), [written, written])
    await later.end()
    assert.equal(bodies.length, 1)
    closeServer(server!)
  })

  it('given a stream that stops at failures, when an item of a request failed, then no later request is made', async (t) => {
    const bodies: number[] = []
    let server: Server | undefined
    const refused: ItemException = { item: 3, result: 'refused', reason: 'no', remote: null }
    await using on = await line(acknowledging([refused]), t.signal, {
      async through(url) {
        const proxy = await bufferingProxy(url, bodies)
        server = proxy.server
        return proxy.url
      },
    })
    const begin = { ...BEGIN, stopAtFailure: true }
    const probing = on.client.openStream(LINK, begin, SILENT, t.signal)
    const first = probing.send(items(1, 1))
    await on.clock.untilSleeping(2)
    await until(on.clock, () => bodies.length > 0)
    await first
    await using stream = on.client.openStream(LINK, begin, SILENT, t.signal)
    const outcomes = await stream.send(items(1, 300, 60_000))
    assert.equal(outcomes.filter(({ result }) => result === 'not-tried').length > 100, true)
    assert.equal(bodies.length, 2)
    closeServer(server!)
  })
})

describe('a slow line', () => {
  it('given contents that shrink, when sent, then they arrive as they are in far fewer bytes', async (t) => {
    const seen: SourceFrame[] = []
    let bodyBytes = 0
    await using on = await line(acknowledging([], seen), t.signal)
    on.e.app.server.on('request', (request) => {
      request.once('close', () => {
        bodyBytes = request.socket.bytesRead
      })
    })
    const http = createHttpClient({ url: on.url, username: 'admin', password: 'admin' }, LIMITS, on.clock)
    const transport: StreamTransport = {
      request: (signal) => http.duplex({ path: `/sync/v1/links/${LINK}/stream` }, signal),
      seals: () => false,
      accept: async () => undefined,
      failureOf: (error) => error as Error,
      post: async () => Buffer.alloc(0),
    }
    const slow = { add: () => undefined, begin: () => () => undefined, isSlow: true }
    const way: StreamWay = { duplex: 'unknown', line: slow, takesBundles: () => true }
    const deps = { transport, way, begin: BEGIN, progress: SILENT, clock: on.clock }
    await using stream = createFrameStream(deps, t.signal)
    await stream.send(items(1, 500, 4_000))
    await stream.end()
    assert.equal(way.duplex, 'open')
    const contents = seen.map((frame) => (frame.type === 'entry' ? frame.content : undefined))
    assert.deepEqual(
      contents.slice(1, -1),
      items(1, 500, 4_000).map((one) => 'content' in one && one.content),
    )
    http[Symbol.dispose]()
    assert.ok(bodyBytes < 500_000, `${bodyBytes}`)
  })
})

/** Lets a second pass as often as it takes. */
async function until(clock: ManualClock, reached: () => boolean): Promise<void> {
  while (!reached()) {
    await clock.advance(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Cuts both ends after so many bytes from the source. */
async function cuttingProxy(url: string, bytes: number): Promise<{ readonly url: string; close(): void }> {
  const { port } = new URL(url)
  const server = createTcpServer((source) => {
    const target = connect(Number(port), '127.0.0.1')
    let passed = 0
    const cut = () => {
      source.destroy()
      target.destroy()
    }
    source.on('error', cut).on('close', cut)
    target.on('error', cut).on('close', cut)
    target.pipe(source)
    if (bytes === 0) return cut()
    source.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, bytes - passed)
      passed += part.length
      if (passed < bytes) target.write(part)
      else target.write(part, cut)
    })
  })
  const address = await listen(server as unknown as Server)
  return { url: address, close: () => server.close() }
}

function closeServer(server: Server): void {
  server.closeAllConnections()
  server.close()
}
