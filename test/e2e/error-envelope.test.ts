import assert from 'node:assert/strict'
import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { it } from 'node:test'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'

// core.md 15, item 12: every error path returns the envelope, never HTML and never a stack trace.

interface Sent {
  readonly method: string
  readonly path: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
}
interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}
/** As it is: neither path nor body is put right on the way. */
async function send(
  { url, api }: LocalCluster,
  agent: Agent,
  { method, path, headers = {}, body }: Sent,
): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const login = { authorization: api.authorization }
  const outgoing = request({ hostname, port, method, path, agent, headers: { ...login, ...headers } })
  const answered = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', async (incoming) => {
      const type = incoming.headers['content-type'] ?? ''
      resolve({ status: incoming.statusCode!, type, text: await readText(incoming) })
    })
  })
  outgoing.end(body)
  return answered
}

const KEYS = ['code', 'data', 'message', 'traceId']
const REGISTRY = /^\/v2(?:[/?#]|$)|\/v2\/_catalog(?:\?|$)/
/** A success may be anything but a fault of ours; a refusal is the envelope, of a registry in its own form. */
function check(sent: Sent, { status, type, text }: Answer): void {
  const about = `${sent.method} ${sent.path.slice(0, 120)} ${String(sent.body).slice(0, 60)} → ${status} ${type} ${text.slice(0, 300)}`
  assert.ok(status < 500, about)
  if (status < 400) return
  // Answers to HEAD have no body.
  if (sent.method === 'HEAD') return
  assert.match(type, /^application\/json/, about)
  assert.doesNotMatch(text, LEAKS, about)
  // A body without a length is the beginning of a next request, of nobody's URL.
  if (REGISTRY.test(sent.path) && !text.includes('this is not HTTP')) {
    checkRegistry(text, about)
    return
  }
  const envelope = JSON.parse(text) as { code: unknown; message: unknown; data: unknown; traceId: unknown }
  assert.deepEqual(Object.keys(envelope).sort(), KEYS, about)
  assert.ok(Number.isInteger(envelope.code) && (envelope.code as number) > 250_000, about)
  assert.equal(envelope.data, null, about)
  assert.ok(typeof envelope.message === 'string' && envelope.message !== '', about)
  assert.match(String(envelope.traceId), /^[0-9a-f]{32}$/, about)
}
const LEAKS = /<html|<!doctype|\n\s+at |node_modules|\.ts:\d|file:\/\/|SQLITE|syntax error/i
function checkRegistry(text: string, about: string): void {
  const { errors } = JSON.parse(text) as { errors?: { code: string; message: string }[] }
  assert.ok(errors !== undefined && errors.length > 0, about)
  for (const { code, message } of errors) {
    assert.match(code, /^[A-Z_]+$/, about)
    assert.ok(typeof message === 'string' && message !== '', about)
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const BAD_BODIES = [
  '{',
  'null',
  '[]',
  '7',
  '"x"',
  '{"a":',
  '{"__proto__":{"admin":true}}',
  '{"name":{"a":1},"type":[],"projectId":{},"rule":7,"expires":"soon","metadata":"x"}',
  Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
  `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
]
const BAD_PARAMETERS = [
  '%',
  '%zz',
  '%00',
  '%ff',
  '%ed%a0%80',
  '..%2f..',
  `${'x'.repeat(20_000)}`,
  "'%20or%201=1--",
  '%0a',
]
const BAD_QUERIES = [
  '?pageNumber=x&pageSize=%ff',
  '?%',
  '?quota=-1&date=yesterday&expiredAt=never&forced=perhaps',
  '?pageNumber=99999999999999999999&pageSize=-1',
  '?name=%00&sortProperty=password&direction=sideways',
]

/** Every route of the server, as `[method, path with {parameters}]`. */
async function routesOf(cluster: LocalCluster, agent: Agent): Promise<[string, string][]> {
  const document = JSON.parse((await send(cluster, agent, { method: 'GET', path: '/openapi.json' })).text)
  return Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  )
}
const NAMED: Readonly<Record<string, string>> = { projectId: 'demo', repoName: 'files' }
const filled = (path: string, other = 'x') => path.replace(/\{([^}]+)\}/g, (_, name: string) => NAMED[name] ?? other)
const withBad = (path: string, bad: string) => path.replace(/\{[^}]+\}/g, () => bad)

eachDialect('answers to bad requests', (dialect) => {
  it('15.12 given bad requests to every route of every service, when answered, then each refusal is the envelope and none is a fault of ours', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    await createRepository(cluster.api, 'demo/files', t.signal)
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    t.after(() => agent.destroy())
    const routes = await routesOf(cluster, agent)
    assert.ok(routes.length > 60)
    for (const service of ['/repository/', '/auth/', '/replication/', '/generic/', '/v2/']) {
      assert.ok(
        routes.some(([, path]) => path.startsWith(service)),
        service,
      )
    }
    const paths = [...new Set(routes.map(([, path]) => path))]
    const some: Sent[] = [
      ...routes.flatMap(([method, path]) => [
        { method, path: filled(path), headers: { authorization: '' } },
        { method, path: filled(path), headers: { authorization: 'Basic !!!' } },
        ...BAD_PARAMETERS.map((bad) => ({ method, path: withBad(path, bad) })),
        ...BAD_QUERIES.map((query) => ({ method, path: `${filled(path)}${query}` })),
        { method, path: filled(path), headers: { range: 'bytes=9-1', 'if-match': '"x"', 'x-bkrepo-sha256': 'zz' } },
      ]),
      ...routes
        .filter(([method]) => WITH_BODY.has(method))
        .flatMap(([method, path]) => [
          ...BAD_BODIES.map((body) => ({ method, path: filled(path), headers: JSON_TYPE, body })),
          { method, path: filled(path), headers: { 'content-type': 'text/plain' }, body: '{}' },
          { method, path: filled(path), headers: { 'content-type': 'no media type' }, body: '{}' },
        ]),
      ...paths.flatMap((path) => METHODS.map((method) => ({ method, path: filled(path) }))),
      ...[
        '/',
        '/nothing',
        '/repository/api/nothing',
        '/auth/api/x/y',
        '/replication',
        '/generic',
        '/%',
        '/api/x%zz',
      ].flatMap((path) => METHODS.map((method) => ({ method, path }))),
    ]
    for (const sent of some) check(sent, await send(cluster, agent, sent))
  })

  it('15.12 given JSON above the limit, when sent to each service, then it is refused in the envelope', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    const agent = new Agent({ keepAlive: false })
    const body = Buffer.from(`{"name":"${'x'.repeat(11 * 1024 * 1024)}"}`)
    for (const path of [
      '/repository/api/project/create',
      '/repository/api/node/search',
      '/auth/api/user/create',
      '/replication/api/task/create',
    ]) {
      const sent = { method: 'POST', path, headers: { ...JSON_TYPE, 'content-length': body.length }, body }
      const answer = await send(cluster, agent, sent)
      check(sent, answer)
      assert.equal(answer.status, 413, path)
    }
    assert.ok(!t.signal.aborted)
  })

  it('given the word of a call in the place of an id, a call of edges to no edge, or a huge name, when sent, then the refusal is short and says what to do', async () => {
    await using cluster = await startCluster({ name: 'center', dialect })
    const agent = new Agent({ keepAlive: false })
    const refused: [method: string, path: string, status: number, message: RegExp, body?: string][] = [
      ['GET', '/replication/api/replica/failure/delete', 405, /GET is not one of DELETE/],
      ['GET', '/replication/api/replica/failure/retry', 405, /GET is not one of POST/],
      ['GET', '/replication/api/replica/event/retry', 405, /GET is not one of POST/],
      ['GET', '/replication/api/edge/status', 400, /edge\.centreUrl.*no edge/],
      ['POST', '/replication/api/edge/pull', 400, /edge\.centreUrl.*no edge/],
      ['GET', '/replication/api/task/verify/nobody', 400, /replica task \[nobody\] not found/],
      [
        'POST',
        '/replication/api/cluster/tryConnect',
        400,
        /is not found|xxx…/,
        JSON.stringify({ name: 'x'.repeat(9_000) }),
      ],
    ]
    for (const [method, path, status, message, body] of refused) {
      const sent = { method, path, ...(body === undefined ? {} : { headers: JSON_TYPE, body }) }
      const answer = await send(cluster, agent, sent)
      check(sent, answer)
      assert.deepEqual([path, answer.status], [path, status])
      assert.match(answer.text, message)
      assert.ok(answer.text.length < 3_000)
    }
  })
})
