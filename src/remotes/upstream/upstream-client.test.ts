import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type LookupFunction, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { scriptedUpstream } from '../../../test/helpers/scripted-upstream.ts'
import { guardedLookupFor } from '../outgoing-url.ts'
import { LinkDown, NotConnected, NotOurProtocol } from '../transport/failures.ts'
import { createUpstreamClient, type Upstream } from './upstream-client.ts'

const clock = manualClock()
const allowed = { allowPrivate: true }
const at = (url: string, more: Partial<Upstream> = {}): Upstream => ({
  url,
  connectTimeoutMs: 1_000,
  readTimeoutMs: 1_000,
  ...more,
})
const call = { method: 'GET', path: '/x', headers: {} } as const

/** Every name resolves to these, one after the other. */
const resolving = (...addresses: string[]) =>
  ((_name: string, _options: unknown, callback: (error: null, found: unknown) => void) => {
    const address = addresses.length > 1 ? addresses.shift() : addresses[0]
    callback(null, [{ address, family: 4 }])
  }) as never

it('given a name that resolves to a private address when connected to, when asked, then nothing is sent there', async (t) => {
  await using upstream = await scriptedUpstream()
  upstream.serve('/x', 'inside')
  const rules = { allowPrivate: false }
  using client = createUpstreamClient({ clock, rules, lookup: guardedLookupFor(rules, resolving('127.0.0.1')) })
  const target = at(`http://rebound.example:${upstream.port}`)
  await assert.rejects(
    client.ask(target, call, t.signal),
    (error) => error instanceof NotOurProtocol && /resolves to a private address/.test(error.message),
  )
  assert.deepEqual(upstream.asked, [])
  using open = createUpstreamClient({
    clock,
    rules: allowed,
    lookup: guardedLookupFor(allowed, resolving('127.0.0.1')),
  })
  assert.equal(await text(await open.ask(target, call, t.signal)), 'inside')
})

it('given an address that was allowed when it was configured, when the rules have changed, then it is refused', async (t) => {
  await using upstream = await scriptedUpstream()
  using client = createUpstreamClient({ clock, rules: { allowPrivate: false } })
  for (const host of ['127.0.0.1', 'localhost', '2130706433', '[::1]']) {
    const target = at(`http://${host}:${upstream.port}`)
    await assert.rejects(client.ask(target, call, t.signal), NotOurProtocol, host)
  }
  assert.deepEqual(upstream.asked, [])
})

it('given a redirect to a name that resolves to a private address, when followed, then it is refused', async (t) => {
  await using upstream = await scriptedUpstream()
  await using inside = await scriptedUpstream()
  inside.serve('/secret', 'secret')
  upstream.script('/x', (_request, response) =>
    response.writeHead(307, { location: `http://inside.example:${inside.port}/secret` }).end(),
  )
  // The first lookup is the upstream's own; it stands for a public server here.
  const lookup: LookupFunction = (name, options, callback) =>
    guardedLookupFor({ allowPrivate: name === 'public.example' }, resolving('127.0.0.1'))(name, options, callback)
  using client = createUpstreamClient({ clock, rules: { allowPrivate: false }, lookup })
  await assert.rejects(client.ask(at(`http://public.example:${upstream.port}`), call, t.signal), NotOurProtocol)
  assert.deepEqual([upstream.asked, inside.asked], [['GET /x'], []])
})

it('given a forward proxy, when asked, then it is used with its own login, and its address is under the same rules', async (t) => {
  await using proxy = await scriptedUpstream()
  proxy.serve('http://upstream.example/x', 'through the proxy')
  proxy.script('/x', (_request, response) => response.end('not through it'))
  using client = createUpstreamClient({ clock, rules: allowed })
  const through = { host: '127.0.0.1', port: proxy.port, username: 'pu', password: 'p:w' }
  const target = at('http://upstream.example', { proxy: through })
  assert.equal(await text(await client.ask(target, call, t.signal)), 'through the proxy')
  assert.equal(proxy.requests[0]?.headers['proxy-authorization'], `Basic ${Buffer.from('pu:p:w').toString('base64')}`)
  using strict = createUpstreamClient({ clock, rules: { allowPrivate: false } })
  await assert.rejects(strict.ask(target, call, t.signal), NotOurProtocol)
})

it('given a forward proxy and an https upstream, when asked, then a tunnel is asked for; refused, it is no connection', async (t) => {
  const tunnels: (string | undefined)[] = []
  const proxy = createHttpServer().on('connect', ({ url }, socket) => {
    tunnels.push(url)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => proxy.close())
  const { port } = proxy.address() as { port: number }
  using client = createUpstreamClient({ clock, rules: allowed })
  const target = at('https://upstream.example', { proxy: { host: '127.0.0.1', port } })
  await assert.rejects(client.ask(target, call, t.signal), NotConnected)
  assert.deepEqual(tunnels, ['upstream.example:443'])
})

it('given silence at each stage, when its timeout is over, then it is told which', async (t) => {
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const server = createServer((socket) => sockets.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const time = manualClock()
  using client = createUpstreamClient({ clock: time, rules: allowed, lookup: () => {} })
  const nameless = client.ask(at('http://never-resolves.example'), call, t.signal)
  const silent = client.ask(at(`http://127.0.0.1:${port}`, { readTimeoutMs: 5_000 }), call, t.signal)
  silent.catch(() => {})
  nameless.catch(() => {})
  while (sockets.length === 0) await new Promise(setImmediate)
  await time.untilSleeping(2)
  await time.advance(1_000)
  await assert.rejects(nameless, (error) => error instanceof NotConnected && /1000 ms/.test(error.message))
  await time.advance(4_000)
  await assert.rejects(silent, (error) => error instanceof LinkDown && !(error instanceof NotConnected))
})

it('given a kept connection that the server closed meanwhile, when it is used again, then the question is asked once more', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    let questions = 0
    socket.on('data', () => {
      if (++questions === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      else socket.resetAndDestroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  using client = createUpstreamClient({ clock, rules: allowed })
  const target = at(`http://127.0.0.1:${port}`)
  for (let times = 0; times < 3; times++) assert.equal(await text(await client.ask(target, call, t.signal)), 'ok')
  server.close()
})
