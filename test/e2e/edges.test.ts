import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { it } from 'node:test'
import { createTunnelDoor, createTunnelServer } from '../../src/http/tunnel-server.ts'
import { createPull, edgeEnv, edgeInfo, pullTask, registerEdge, until } from '../helpers/edge-calls.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'

/** An answer, whatever it is; a socket when the connection was upgraded. */
interface Answer {
  readonly status: number
  readonly code?: number
  readonly message?: string
  readonly socket?: Socket
}
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

async function ask(
  { url }: LocalCluster,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: object },
): Promise<Answer> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const outgoing = request(`${url}${path}`, {
    method: 'POST',
    agent: false,
    headers: { ...headers, ...type, 'content-length': Buffer.byteLength(text) },
  })
  outgoing.end(text)
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.once('upgrade', (response, socket) => {
      socket.on('error', () => {})
      resolve({ status: response.statusCode!, socket: socket as Socket })
    })
    outgoing.once('response', async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
      resolve({ status: response.statusCode!, ...JSON.parse(Buffer.concat(chunks).toString()) })
    })
  })
}
const tunnel = (name: string) => ({ connection: 'upgrade', upgrade: 'entrepot-sync/1', 'x-entrepot-edge': name })

eachDialect('edges at their centre', (dialect) => {
  it('given callers of all kinds, when they speak for an edge, then only its user and administrators may', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await centre.api.call(
      'POST',
      '/auth/api/user/create',
      { userId: 'till', name: 'till', pwd: 'till-password-1' },
      t.signal,
    )
    await centre.api.call(
      'POST',
      '/auth/api/user/create',
      { userId: 'other', name: 'other', pwd: 'other-password-1' },
      t.signal,
    )
    const body = { name: 'shop', url: 'http://127.0.0.1:1', type: 'EDGE', detectType: 'REPORT', username: 'till' }
    await centre.api.call('POST', '/replication/api/cluster/create', body, t.signal)
    const plain = { name: 'plain', url: 'http://127.0.0.1:1', type: 'STANDALONE', ping: false }
    await centre.api.call('POST', '/replication/api/cluster/create', plain, t.signal)
    const beat = (name: string, authorization?: string) =>
      ask(centre, `/sync/v1/edges/${name}/heartbeat`, {
        headers: authorization === undefined ? {} : { authorization },
        body: { clusterId: 'c1', name: 'my shop' },
      })
    const [till, other] = [basic('till', 'till-password-1'), basic('other', 'other-password-1')]
    const admin = basic('admin', centre.password)
    assert.equal((await edgeInfo(centre.api, 'shop', t.signal)).errorReason, 'Not reported yet')
    assert.deepEqual([(await beat('shop')).code, (await beat('shop', other)).code], [250114, 250113])
    assert.deepEqual([(await beat('plain', till)).code, (await beat('gone', till)).code], [250113, 250113])
    assert.deepEqual([(await beat('plain', admin)).code, (await beat('gone', admin)).code], [250105, 250306])
    assert.equal((await beat('shop', till)).code, 0)
    assert.equal((await edgeInfo(centre.api, 'shop', t.signal)).status, 'HEALTHY')
    for (const wrong of [{}, { clusterId: 'c'.repeat(65), name: 'n' }, { clusterId: 'c', name: 'n'.repeat(257) }]) {
      const { status } = await ask(centre, '/sync/v1/edges/shop/heartbeat', {
        headers: { authorization: till },
        body: wrong,
      })
      assert.equal(status, 400)
    }

    const open = (name: string, authorization: string, more = {}) =>
      ask(centre, '/sync/v1/tunnel', { headers: { ...tunnel(name), authorization, ...more } })
    assert.deepEqual([(await open('shop', other)).status, (await open('shop', 'Basic eDp5')).status], [403, 401])
    const { status, socket } = await open('shop', till)
    assert.equal(status, 101)
    socket?.destroy()
  })

  it('given requests for upgrades of other kinds, when they come, then they are answered like any request', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await registerEdge(centre.api, 'shop', t.signal)
    const authorization = basic('admin', centre.password)
    const withUpgrade = (upgrade: string, path: string) =>
      ask(centre, path, { headers: { ...tunnel('shop'), upgrade, authorization } })
    assert.equal((await withUpgrade('h2c', '/sync/v1/tunnel')).code, 250106)
    assert.equal((await withUpgrade('websocket', '/nowhere')).code, 250130)
    assert.equal((await withUpgrade('entrepot-sync/1', '/nowhere')).code, 250130)
    assert.equal((await ask(centre, '/sync/v1/tunnel', { headers: { authorization } })).code, 250118)
    const { 'x-entrepot-edge': _none, ...rest } = tunnel('shop')
    const wrong = { ...rest, 'x-entrepot-edge': '%E0%A4%A', authorization }
    assert.equal((await ask(centre, '/sync/v1/tunnel', { headers: wrong })).code, 250106)
  })

  it('given an edge that falls silent, when a minute is over, then it is UNHEALTHY and says why, and its next word heals it', async (t) => {
    const env = { ENTREPOT_REPLICATION_EDGE_SILENCE_MS: '1000' }
    await using centre = await startCluster({ name: 'centre', dialect, env })
    await registerEdge(centre.api, 'shop', t.signal)
    const own = { url: centre.url, user: 'admin', password: centre.password }
    const info = () => edgeInfo(centre.api, 'shop', t.signal)
    {
      await using _edge = await startCluster({ name: 'my shop', dialect, env: edgeEnv(own, 'shop') })
      await until(info, ({ status }) => status === 'HEALTHY', t.signal)
      await centre.api.call('POST', '/replication/api/cluster/tryConnect?name=shop', undefined, t.signal)
    }
    const silent = await until(info, ({ status }) => status === 'UNHEALTHY', t.signal)
    assert.equal(silent.errorReason, 'It has not reported for 1 s')
    await assert.rejects(
      centre.api.call('POST', '/replication/api/cluster/tryConnect?name=shop', undefined, t.signal),
      /250301|has not reported/,
    )
    await using _again = await startCluster({ name: 'my shop', dialect, env: edgeEnv(own, 'shop') })
    await until(info, ({ status }) => status === 'HEALTHY', t.signal)
  })

  it('given an EDGE_PULL task, when it is made, then only edges that report are its targets, all of them when none is named', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await createRepository(centre.api, 'proj/files', t.signal)
    await assert.rejects(createPull(centre.api, 'none', 'proj/files', [], t.signal), /250104|remoteClusterIds/)
    await registerEdge(centre.api, 'north', t.signal)
    await registerEdge(centre.api, 'south', t.signal)
    const plain = { name: 'plain', url: 'http://127.0.0.1:1', type: 'EDGE', ping: false }
    await centre.api.call('POST', '/replication/api/cluster/create', plain, t.signal)
    await assert.rejects(createPull(centre.api, 'plain', 'proj/files', ['plain'], t.signal), /250105|plain/)
    const key = await createPull(centre.api, 'all', 'proj/files', [], t.signal)
    const { remoteClusters, status } = await pullTask(centre.api, key, t.signal)
    assert.deepEqual([remoteClusters.map(({ name }) => name), status], [['north', 'south'], 'WAITING'])
    const path = `/replication/api/task/execute/${key}`
    await assert.rejects(centre.api.call('POST', path, undefined, t.signal), /250105|replicaType/)
    const wrong = { name: 'xx', url: 'http://a.example', type: 'STANDALONE', detectType: 'REPORT', ping: false }
    await assert.rejects(centre.api.call('POST', '/replication/api/cluster/create', wrong, t.signal), /detectType/)
  })
})

it('given a centre that asks an edge for more than it may, when the request comes through a tunnel, then it is refused', async () => {
  const seen: string[] = []
  const app = {
    routing: (incoming: { url: string }, response: { end(text: string): void }) => {
      seen.push(incoming.url)
      response.end('ok')
    },
  }
  const random = { next: () => 0, bytes: (count: number) => Buffer.alloc(count, 7) }
  const door = createTunnelDoor(random)
  const server = createTunnelServer(app as never, door)
  const ends = createServer()
  await new Promise<void>((resolve) => ends.listen(0, '127.0.0.1', resolve))
  const { port } = ends.address() as AddressInfo
  let uses = 0
  const client = request({ port, host: '127.0.0.1', path: '/api/node/page' })
  // What listens hands its sockets to the tunnel server: as if we had opened them.
  ends.removeAllListeners('connection')
  ends.once('connection', (socket: Socket) => server.serve(socket, () => uses++))
  const answer = once(client, 'response')
  client.end()
  const [response] = (await answer) as [{ statusCode: number; resume(): void }]
  response.resume()
  assert.deepEqual([response.statusCode, seen, uses], [403, [], 1])
  const principal = await door.authenticate(async () => ({ userId: 'x', admin: false }))(door.key, {})
  assert.deepEqual(
    [
      principal.covers?.('WRITE', { kind: 'replication' }),
      principal.covers?.('MANAGE', { kind: 'replication' }),
      principal.covers?.('READ', { kind: 'login' }),
      principal.covers?.('MANAGE', { kind: 'system' }),
      principal.covers?.('READ', { kind: 'project', projectId: 'p' }),
    ],
    [true, false, true, false, false],
  )
  await server.close(AbortSignal.abort())
  await new Promise((resolve) => ends.close(resolve))
})
