import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { edge } from '../../../test/helpers/edge.ts'
import { clientGone } from '../client-gone.ts'
import { ok } from '../envelope.ts'
import { keepBodiesRaw, openBody } from '../raw-body.ts'
import type { Routes } from '../route.ts'

const open = { access: 'PUBLIC' } as const
const closed = { access: 'ADMIN' } as const

const routes: Routes = async (app) => {
  app.get('/path/*', { config: open }, async ({ params }) => ok((params as { '*': string })['*']))
  app.post('/json', { schema: { body: Type.Object({ name: Type.String() }) }, config: open }, async ({ body }) =>
    ok(body.name),
  )
  app.post('/closed', { schema: { body: Type.Object({ name: Type.String() }) }, config: closed }, async ({ body }) =>
    ok(body.name),
  )
  await app.register(async (raw) => {
    keepBodiesRaw(raw)
    raw.put('/raw', { config: open }, async (request, reply) => ok(await text(openBody(request, reply))))
    raw.put('/refuse', { config: open }, async () => ok('not read'))
  })
}
const start = () => edge(() => [routes])

/** Sends bytes as they are and gives all that comes back until the server closes. */
async function talk(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const answer = text(socket)
  for (const part of parts) socket.write(part)
  return answer
}
const get = (target: string, extra = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${extra}\r\n`
const post = (path: string, length: number, type = 'application/json') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`

interface Answer {
  readonly status: number
  readonly code: number | undefined
  readonly data: unknown
}
function parse(answer: string): Answer {
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
  const { code, data } = JSON.parse(body) as { code: number; data: unknown }
  return { status: Number(status), code, data }
}

describe('requests as they come over the wire', () => {
  const cases: readonly [string, (string | Buffer)[], Answer][] = [
    ['.. in the path', [get('/path/a/../../b')], { status: 200, code: 0, data: 'a/../../b' }],
    ['encoded .. and /', [get('/path/a%2F%2e%2e%2Fb')], { status: 200, code: 0, data: 'a/../b' }],
    ['doubled slashes', [get('/path//a//b/')], { status: 200, code: 0, data: '/a//b/' }],
    ['; and , and = and +', [get('/path/a;b=c,d+e')], { status: 200, code: 0, data: 'a;b=c,d+e' }],
    ['an encoded ? and # and %', [get('/path/a%3Fb%23c%25d%2525')], { status: 200, code: 0, data: 'a?b#c%d%25' }],
    ['an encoded space and backslash', [get('/path/a%20b%5Cc')], { status: 200, code: 0, data: 'a b\\c' }],
    ['Unicode, encoded', [get('/path/%E4%B8%AD%F0%9F%8D%A3')], { status: 200, code: 0, data: '\u4e2d\u{1f363}' }],
    ['a query that is no query', [get('/path/a??b&&=&%')], { status: 200, code: 0, data: 'a' }],
    ['a whole URL', [get('http://other:1/path/a/../b?x')], { status: 200, code: 0, data: 'a/../b' }],
    ['4096 encoded bytes', [get(`/path/${'%61'.repeat(4096)}`)], { status: 200, code: 0, data: 'a'.repeat(4096) }],
    ['NUL, for the path rule to refuse', [get('/path/a%00b')], { status: 200, code: 0, data: 'a\u0000b' }],
    ['a wrong percent', [get('/path/%zz')], { status: 400, code: 250105, data: null }],
    ['a percent at the end', [get('/path/a%')], { status: 400, code: 250105, data: null }],
    ['percent-encoded bytes that are no UTF-8', [get('/path/%ff%fe')], { status: 400, code: 250105, data: null }],
    ['a raw NUL', [Buffer.from(get('/path/a\u0000b'))], { status: 400, code: 250106, data: null }],
    ['a raw space', [get('/path/a b')], { status: 400, code: 250106, data: null }],
    [
      'an asterisk',
      ['OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
      { status: 404, code: 250130, data: null },
    ],
    ['no HTTP', ['hello\r\n\r\n'], { status: 400, code: 250106, data: null }],
    [
      'headers that are too large',
      [get('/path/a', `X-Big: ${'x'.repeat(200_000)}\r\n`)],
      { status: 431, code: 250106, data: null },
    ],
    ['a header of 100 kB', [get('/path/a', `X-Big: ${'x'.repeat(100_000)}\r\n`)], { status: 200, code: 0, data: 'a' }],
    [
      'two lengths',
      ['POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
      { status: 400, code: 250106, data: null },
    ],
    [
      'a length and chunks',
      ['POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
      { status: 400, code: 250106, data: null },
    ],
    ['a body that is no JSON', [post('/json', 5), '{"na}'], { status: 400, code: 250106, data: null }],
    ['a body of another type', [post('/json', 3, 'text/plain'), 'abc'], { status: 415, code: 250119, data: null }],
    ['a body above 10 MiB, announced', [post('/json', 11 * 1024 * 1024)], { status: 413, code: 250106, data: null }],
    ['a body in two parts', [post('/json', 12), '{"name"', ':"a"}'], { status: 200, code: 0, data: 'a' }],
  ]
  for (const [title, parts, expected] of cases) {
    it(`given ${title}, when sent, then the answer is ${expected.status}/${expected.code}`, async () => {
      await using e = await start()
      assert.deepEqual(parse(await talk(await e.listen(), ...parts)), expected)
    })
  }

  it('given a path of 5000 encoded bytes in one part, when sent, then 400 and no crash', async () => {
    await using e = await start()
    const answer = parse(await talk(await e.listen(), get(`/path/${'%61'.repeat(30_000)}`)))
    assert.ok(answer.status === 200 || answer.status === 400)
  })

  it('given no Host, when sent, then Node itself answers 400', async () => {
    await using e = await start()
    assert.match(await talk(await e.listen(), 'GET /path/a HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400/)
  })

  it('given a JSON body longer than announced, when sent, then the rest is refused and the connection is closed', async () => {
    await using e = await start()
    const keepOpen = post('/json', 12).replace('Connection: close\r\n', '')
    const port = await e.listen()
    // The refusal may overtake the answer to the announced part.
    assert.match(await talk(port, `${keepOpen}{"name":"a"}garbage\r\n\r\n`), /HTTP\/1\.1 400[\s\S]*"code":250106/)
    assert.equal(parse(await talk(port, get('/path/still-here'))).data, 'still-here')
  })

  it('given a handler that fails after its answer has begun, when it does, then the connection is cut and the cause is logged', async () => {
    const failing: Routes = async (app) => {
      app.get('/half', { config: open }, async (_request, reply) => {
        reply.raw.writeHead(200, { 'content-length': 100 }).write('half')
        throw new Error('the disk is gone')
      })
    }
    await using e = await edge(() => [failing])
    const port = await e.listen()
    const answer = await talk(port, get('/half')).catch(() => 'reset')
    assert.equal(answer.includes('250102'), false)
    assert.match(JSON.stringify(e.log.filter(({ level }) => Number(level) >= 50)), /the disk is gone/)
  })

  it('given garbage after a request whose answer has begun, when it is met, then nothing is written into that answer', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const slow: Routes = async (app) => {
      app.get('/slow', { config: open }, async (_request, reply) => {
        reply.raw.on('close', () => body.destroy())
        const body = new PassThrough()
        body.write('first part')
        begin()
        return reply.send(body)
      })
    }
    await using e = await edge(() => [slow])
    const socket = connect(await e.listen(), '127.0.0.1')
    const answer = text(socket).catch(() => 'reset')
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    await begun
    await once(socket, 'readable')
    socket.write('garbage\r\n\r\n')
    assert.equal((await answer).includes('250106'), false)
  })

  it('given a JSON body shorter than announced, when the client hangs up, then no handler runs and no error is logged', async () => {
    await using e = await start()
    const port = await e.listen()
    const socket = connect(port, '127.0.0.1')
    const seen = once(e.app.server, 'request')
    socket.write(`${post('/json', 100)}{"name":`)
    const [request] = await seen
    const closed = once(request, 'close')
    socket.destroy()
    await closed.catch(() => {})
    const after = parse(await talk(port, get('/path/still-here')))
    assert.equal(after.data, 'still-here')
    assert.deepEqual(
      e.log.filter(({ level }) => Number(level) >= 50),
      [],
    )
  })

  it('given Expect: 100-continue, when the request is welcome, then the client is told to send, and not before', async () => {
    await using e = await start()
    const port = await e.listen()
    const expecting = (path: string, method: string) =>
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n\r\n`
    for (const [method, path] of [
      ['POST', '/json'],
      ['PUT', '/raw'],
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      socket.write(expecting(path, method))
      const [invitation] = (await once(socket, 'data')) as [Buffer]
      assert.match(invitation.toString(), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
      const answer = text(socket)
      socket.write('{"name":"a"}')
      assert.match(await answer, /^HTTP\/1\.1 200/)
    }
    const refused = await talk(port, expecting('/closed', 'POST'))
    assert.match(refused, /^HTTP\/1\.1 401/)
    assert.match(refused, /connection: close/i)
  })

  it('given a client that goes away while it waits, when its signal is asked, then it is aborted', async () => {
    const { promise: reached, resolve: reach } = Promise.withResolvers<AbortSignal>()
    const waiting: Routes = async (app) => {
      app.post('/wait', { schema: { body: Type.Object({}) }, config: open }, async (_request, reply) => {
        const signal = clientGone(reply)
        reach(signal)
        await once(signal, 'abort')
        signal.throwIfAborted()
        return ok(1)
      })
    }
    await using e = await edge(() => [waiting])
    const socket = connect(await e.listen(), '127.0.0.1')
    socket.write(`${post('/wait', 2)}{}`)
    const signal = await reached
    assert.equal(signal.aborted, false)
    socket.destroy()
    if (!signal.aborted) await once(signal, 'abort')
    assert.deepEqual(
      e.log.filter(({ level }) => Number(level) >= 50),
      [],
    )
  })
})
