import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOfBytes } from '../../src/core/digest.ts'
import { packHeader } from '../../src/remotes/cluster/pack.ts'
import { createHttpClient, type HttpCall } from '../../src/remotes/transport/http-client.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'

const bytes = { 'content-type': 'application/octet-stream' }
const json = { 'content-type': 'application/json' }
const link = '0'.repeat(32)
const sha = 'a'.repeat(64)
const stream = { sourceId: 's', project: 'p', repo: 'r', epoch: 'e', stream: 'x/1', fence: 1, run: 1 }
const offer = { path: '/x', sha256: sha, sizeBytes: 1, metaLanes: [0, 0, 0, 0], expiresAt: null }

interface BadCall extends HttpCall {
  readonly what: string
  readonly status: number
  readonly code: number
}
const post = (path: string, body: unknown) =>
  ({ method: 'POST', path, headers: json, body: Buffer.from(JSON.stringify(body)) }) as const
const put = (path: string, body: Buffer) => ({ method: 'PUT', path, headers: bytes, body }) as const

const BAD_CALLS: readonly BadCall[] = [
  {
    what: 'a pack whose blob is too large',
    ...put('/blobs/pack', Buffer.alloc(4 << 20, 255)),
    status: 400,
    code: 250311,
  },
  { what: 'a pack that ends inside a blob', ...put('/blobs/pack', Buffer.alloc(100, 1)), status: 400, code: 250311 },
  { what: 'a pack of very many blobs', ...put('/blobs/pack', Buffer.alloc(400_000)), status: 400, code: 250311 },
  { what: 'a blob that is not its digest', ...put(`/blobs/${sha}`, Buffer.alloc(100_000)), status: 400, code: 250311 },
  { what: 'a digest that is none', ...put('/blobs/xyz', Buffer.alloc(10)), status: 400, code: 250105 },
  {
    what: 'a part of an unknown upload',
    ...put(`/uploads/${sha}/parts/0`, Buffer.alloc(10)),
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
  {
    what: 'an unknown project',
    ...post(`/links/${link}/compare`, { ...stream, includeMetadata: true, offers: [] }),
    status: 404,
    code: 251004,
  },
  { what: 'a missing field', ...post(`/links/${link}/compare`, { ...stream, offers: [] }), status: 400, code: 250103 },
  {
    what: 'more than 500 offers',
    ...post(`/links/${link}/compare`, { ...stream, includeMetadata: true, offers: Array(501).fill(offer) }),
    status: 400,
    code: 250105,
  },
  { what: 'a link key that is none', ...post('/links/x/apply', { ...stream, entries: [] }), status: 400, code: 250105 },
  { what: 'an unknown call', method: 'GET', path: '/nothing', status: 404, code: 250130 },
]

async function send(
  cluster: LocalCluster,
  { method, path, headers = {}, body }: HttpCall,
  password = cluster.password,
) {
  const limits = { connections: 1, idleMs: 20_000, maxAnswerBytes: 1_000_000 }
  using http = createHttpClient({ url: cluster.url, username: 'admin', password }, limits)
  const answer = await http.send({ method, path: `/sync/v1${path}`, headers, body }, new AbortController().signal)
  return {
    status: answer.status,
    envelope: JSON.parse(answer.body.toString()) as { code: number; data: unknown; message: string },
  }
}

eachDialect('bad calls of other clusters', (dialect) => {
  it('given any of the table, when sent, then a clear refusal in the envelope, and the server goes on', async () => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    for (const { what, status, code, ...call } of BAD_CALLS) {
      const answer = await send(cluster, call)
      assert.deepEqual(
        [answer.status, answer.envelope.code],
        [status, code],
        `${what}: ${JSON.stringify(answer.envelope)}`,
      )
      assert.doesNotMatch(answer.envelope.message, /\n|node_modules/)
    }
    const hello = await send(cluster, { method: 'GET', path: '/hello' })
    assert.equal(hello.status, 200)
  })

  it('given no or wrong credentials, when called, then 401 before the body is taken', async () => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    const refused = await send(cluster, put('/blobs/pack', Buffer.alloc(1_000_000)), 'wrong')
    assert.deepEqual([refused.status, refused.envelope.code], [401, 250114])
  })

  it('given a pack in which one blob is not its digest, when sent, then it is named and the others are kept', async () => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    const [good, bad] = [Buffer.from('good'), Buffer.from('bad')]
    const body = Buffer.concat([packHeader(digestOfBytes(good), 4), good, packHeader(digestOfBytes('other'), 3), bad])
    const { envelope } = await send(cluster, put('/blobs/pack', body))
    assert.deepEqual(envelope.data, { broken: [digestOfBytes('other').slice(7)] })
    const rows = await cluster.db.read.selectFrom('blob').select('size').execute()
    assert.deepEqual(
      rows.map(({ size }) => size),
      [4],
    )
  })

  it('given a lower fence than the last one, when a batch is applied, then it is refused with 250350', async (t) => {
    await using cluster = await startCluster({ name: 'beta', dialect })
    const made = { name: 'proj', displayName: 'proj', description: 'd' }
    await cluster.api.call('POST', '/repository/api/project/create', made, t.signal)
    const repo = {
      projectId: 'proj',
      name: 'files',
      type: 'GENERIC',
      category: 'LOCAL',
      public: false,
      description: null,
    }
    await cluster.api.call('POST', '/repository/api/repo/create', repo, t.signal)
    const { epoch } = await cluster.db.read.selectFrom('repository').select('epoch').executeTakeFirstOrThrow()
    const apply = (fence: number) =>
      post(`/links/${link}/apply`, { ...stream, project: 'proj', repo: 'files', epoch, fence, entries: [] })
    assert.equal((await send(cluster, apply(3))).status, 200)
    assert.equal((await send(cluster, apply(3))).status, 200)
    const zombie = await send(cluster, apply(2))
    assert.deepEqual([zombie.status, zombie.envelope.code], [409, 250350])
  })
})
