import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { systemClock } from '../../app/system-clock.ts'
import { LinkDown, NotConnected, TunnelElsewhere } from '../transport/failures.ts'
import { createHttpClient } from '../transport/http-client.ts'
import { createTunnelHub } from './tunnel-hub.ts'
import { TUNNEL_LIMITS } from './tunnel-pool.ts'

const SHOP = { id: 'e1', name: 'shop' }
const LIMITS = { connections: 4, idleMs: 60_000, answerMs: 60_000, maxAnswerBytes: 1024 }

/** Two ends of connections: `here` at the centre, `there` at the edge. */
async function wire() {
  const server = createNetServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const sockets: Socket[] = []
  return {
    async pair() {
      const there = connect(port, '127.0.0.1')
      const [here] = (await once(server, 'connection')) as [Socket]
      sockets.push(here, there)
      there.on('error', () => {})
      return { here, there }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers what comes through tunnels; it never listens. */
function edgeServer(): { server: Server; seen: string[] } {
  const seen: string[] = []
  const server = createServer(async (request, response) => {
    seen.push(`${request.method} ${request.url}`)
    if (request.url === '/sync/v1/ping') return void response.writeHead(204).end()
    let size = 0
    for await (const chunk of request as AsyncIterable<Buffer>) size += chunk.length
    response.end(`${request.url} ${size}`)
  })
  return { server, seen }
}

const hubOn = (clock = systemClock, isElsewhere = async (_id: string) => false) =>
  createTunnelHub({ clock, limits: TUNNEL_LIMITS, isElsewhere })
const clientOf = (hub: ReturnType<typeof hubOn>) =>
  createHttpClient({ url: 'http://edge-e1', way: hub.way(SHOP) }, LIMITS, systemClock)

it('given connections of an edge, when requests are sent to it, then they go out through these, which are used again', async (t) => {
  await using lines = await wire()
  const { server, seen } = edgeServer()
  using hub = hubOn()
  for (let count = 0; count < 3; count++) {
    const { here, there } = await lines.pair()
    server.emit('connection', there)
    assert.equal(hub.add('e1', here), true)
  }
  assert.deepEqual([hub.here(), hub.count('e1')], [['e1'], { open: 3, waiting: 3 }])
  {
    using client = clientOf(hub)
    const send = async (path: string) =>
      (await client.send({ method: 'POST', path, body: Buffer.alloc(70_000) }, t.signal)).body.toString()
    assert.deepEqual(await Promise.all(['/a', '/b', '/c'].map(send)), ['/a 70000', '/b 70000', '/c 70000'])
    assert.equal(await send('/d'), '/d 70000')
  }
  // The client is gone, its connections are the edge's and stay.
  using client = clientOf(hub)
  assert.equal((await client.send({ method: 'GET', path: '/e' }, t.signal)).status, 200)
  assert.deepEqual(hub.count('e1'), { open: 3, waiting: 0 })
  assert.deepEqual(seen.sort(), ['GET /e', 'POST /a', 'POST /b', 'POST /c', 'POST /d'])
})

it('given no free connection, when one comes in time, then the request goes on; else the edge is not connected', async (t) => {
  await using lines = await wire()
  const clock = manualClock()
  using hub = hubOn(clock)
  using client = clientOf(hub)
  const late = assert.rejects(client.send({ method: 'GET', path: '/' }, t.signal), NotConnected)
  await clock.untilSleeping()
  await clock.advance(TUNNEL_LIMITS.waitMs)
  await late

  const answer = client.send({ method: 'GET', path: '/x' }, t.signal)
  await clock.untilSleeping()
  const { here, there } = await lines.pair()
  edgeServer().server.emit('connection', there)
  hub.add('e1', here)
  assert.equal((await answer).body.toString(), '/x 0')
})

it('given an edge whose connections another process holds, when a request is sent, then it is told at once', async (t) => {
  using hub = hubOn(systemClock, async (id) => id === 'e1')
  using client = clientOf(hub)
  await assert.rejects(client.send({ method: 'GET', path: '/' }, t.signal), TunnelElsewhere)
})

it('given a connection that waits, when the other end answers pings, then it stays; when it does not, then it goes', async () => {
  await using lines = await wire()
  const clock = manualClock()
  using hub = hubOn(clock)
  const { server, seen } = edgeServer()
  const lively = await lines.pair()
  server.emit('connection', lively.there)
  hub.add('e1', lively.here)
  const deaf = await lines.pair()
  hub.add('e1', deaf.here)
  await clock.advance(TUNNEL_LIMITS.pingMs)
  while (seen.length === 0 || lively.here.bytesRead === 0) await turn()
  await clock.advance(TUNNEL_LIMITS.answerMs)
  while (hub.count('e1').open > 1) await turn()
  assert.deepEqual([seen, hub.count('e1')], [['GET /sync/v1/ping'], { open: 1, waiting: 1 }])
  assert.equal(deaf.here.destroyed, true)
})

it('given a connection that waits, when its edge says what nobody asked for, then it is cut', async () => {
  await using lines = await wire()
  using hub = hubOn()
  const { here, there } = await lines.pair()
  hub.add('e1', here)
  there.write('HTTP/1.1 200 OK\r\n\r\n')
  while (hub.count('e1').open > 0) await turn()
  assert.equal(here.destroyed, true)
})

it('given a connection that breaks under a request, when it is answered, then that is an outage, not a defect', async (t) => {
  await using lines = await wire()
  using hub = hubOn()
  const { here, there } = await lines.pair()
  hub.add('e1', here)
  there.once('data', () => there.destroy())
  using client = clientOf(hub)
  await assert.rejects(client.send({ method: 'GET', path: '/' }, t.signal), LinkDown)
})

it('given more connections than one edge may have, when another comes, then it is refused', async () => {
  await using lines = await wire()
  using hub = createTunnelHub({
    clock: systemClock,
    limits: { ...TUNNEL_LIMITS, most: 1 },
    isElsewhere: async () => false,
  })
  assert.equal(hub.add('e1', (await lines.pair()).here), true)
  const { here } = await lines.pair()
  assert.deepEqual([hub.add('e1', here), here.destroyed], [false, true])
  hub.close()
  const last = await lines.pair()
  assert.deepEqual([hub.add('e2', last.here), last.here.destroyed], [false, true])
})
