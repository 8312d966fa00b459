import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createHttpClient, type HttpCall } from '../../src/remotes/transport/http-client.ts'
import { manualClock } from '../helpers/clock.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'

const bytes = { 'content-type': 'application/octet-stream' }
const json = { 'content-type': 'application/json' }
const link = '0'.repeat(32)
const sha = 'a'.repeat(64)
interface BadCall extends HttpCall {
  readonly what: string
  readonly status: number
  readonly code: number
}
const post = (path: string, body: unknown) =>
  ({ method: 'POST', path, headers: json, body: Buffer.from(JSON.stringify(body)) }) as const
const send = (method: 'PUT' | 'POST', path: string, body: Buffer) => ({ method, path, headers: bytes, body }) as const

const BAD_CALLS: readonly BadCall[] = [
  { what: 'digests that are cut', ...send('POST', '/blobs/missing', Buffer.alloc(33)), status: 400, code: 250106 },
  { what: 'too many digests', ...send('POST', '/blobs/missing', Buffer.alloc(32 * 10_001)), status: 400, code: 250106 },
  {
    what: 'a stream of no frames',
    ...send('POST', `/links/${link}/stream`, Buffer.alloc(64, 255)),
    status: 400,
    code: 250311,
  },
  { what: 'an empty stream', ...send('POST', `/links/${link}/stream`, Buffer.alloc(0)), status: 400, code: 250106 },
  {
    what: 'a stream of a link key that is none',
    ...send('POST', '/links/x/stream', Buffer.alloc(0)),
    status: 400,
    code: 250105,
  },
  {
    what: 'fingerprints of an unknown repository',
    ...send('POST', '/repos/p/r/recon', Buffer.alloc(3)),
    status: 404,
    code: 251004,
  },
  {
    what: 'a blob that is not its digest',
    ...send('PUT', `/blobs/${sha}`, Buffer.alloc(100_000)),
    status: 400,
    code: 250311,
  },
  { what: 'a digest that is none', ...send('PUT', '/blobs/xyz', Buffer.alloc(10)), status: 400, code: 250105 },
  {
    what: 'a part of an unknown upload',
    ...send('PUT', `/uploads/${sha}/parts/0`, Buffer.alloc(10)),
    status: 400,
    code: 251201,
  },
  { what: 'the end of an unknown upload', ...post(`/uploads/${sha}/complete`, {}), status: 400, code: 251201 },
  { what: 'an upload of no bytes', ...post('/uploads', { sha256: sha, sizeBytes: 0 }), status: 400, code: 250105 },
  {
    what: 'a body that is no JSON',
    method: 'POST',
    path: '/uploads',
    headers: json,
    body: Buffer.from('{'),
    status: 400,
    code: 250106,
  },
  { what: 'an unknown call', method: 'GET', path: '/nothing', status: 404, code: 250130 },
]

async function call(
  cluster: LocalCluster,
  { method, path, headers = {}, body }: HttpCall,
  password = cluster.password,
) {
  const limits = { connections: 1, idleMs: 20_000, answerMs: 60_000, maxAnswerBytes: 1_000_000 }
  using http = createHttpClient({ url: cluster.url, username: 'admin', password }, limits, manualClock())
  const answer = await http.send({ method, path: `/sync/v1${path}`, headers, body }, new AbortController().signal)
  return {
    status: answer.status,
    envelope: JSON.parse(answer.body.toString()) as { code: number; data: unknown; message: string },
  }
}

eachDialect('bad calls of other clusters', (dialect) => {
  it('given any of the table, when sent, then a clear refusal in the envelope, and the server goes on', async () => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    for (const { what, status, code, ...bad } of BAD_CALLS) {
      const answer = await call(cluster, bad)
      assert.deepEqual(
        [answer.status, answer.envelope.code],
        [status, code],
        `${what}: ${JSON.stringify(answer.envelope)}`,
      )
      assert.doesNotMatch(answer.envelope.message, /\n|node_modules/)
    }
    const hello = await call(cluster, { method: 'GET', path: '/hello' })
    assert.equal(hello.status, 200)
  })

  it('given no or wrong credentials, when called, then 401 before the body is taken', async () => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    const refused = await call(cluster, send('PUT', `/blobs/${sha}`, Buffer.alloc(1_000_000)), 'wrong')
    assert.deepEqual([refused.status, refused.envelope.code], [401, 250114])
  })
})
