import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { basic, digestOf, startRegistry, withDigest } from '../helpers/registry.ts'

const IMAGE = 'demo/images/slow'
const SCOPE = encodeURIComponent(`repository:${IMAGE}:pull,push`)

eachDialect('tokens that expire', (dialect) => {
  it('given an upload whose token expires in the middle, when asked on, then 401 with a challenge and nothing lost; with another token it goes on', async (t) => {
    await using on = await startRegistry(dialect, { ENTREPOT_IMAGES_TOKEN_SECONDS: '1' })
    const another = async () => {
      const { json } = await on.call('GET', `/v2/auth?service=entrepot&scope=${SCOPE}`, {
        authorization: basic('admin'),
      })
      assert.equal(json.expires_in, 1)
      return `Bearer ${json.token}`
    }
    /** As clients do: each 401 is answered with another token. */
    async function sent(method: string, target: string, more: object = {}) {
      const answer = await on.call(method, target, { ...more, authorization: token })
      if (answer.status !== 401) return answer
      token = await another()
      return on.call(method, target, { ...more, authorization: token })
    }
    const bytes = randomBytes(300_000)
    const part = (from: number, to: number) => ({
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${from}-${to - 1}` },
      body: bytes.subarray(from, to),
    })
    let token = await another()
    const begun = await sent('POST', `/v2/${IMAGE}/blobs/uploads/`)
    const first = await sent('PATCH', begun.headers.get('location')!, part(0, 100_000))
    assert.equal(first.status, 202)
    const location = first.headers.get('location')!

    const old = token
    await until(async () => (await on.call('GET', location, { authorization: old })).status === 401, t.signal)
    const refused = await on.call('PATCH', location, { ...part(100_000, 200_000), authorization: old })
    assert.equal(refused.status, 401)
    assert.match(
      refused.headers.get('www-authenticate') ?? '',
      /scope="repository:demo\/images\/slow:pull,push".*error="invalid_token"/,
    )
    assert.equal((await sent('GET', location)).headers.get('range'), '0-99999')
    const second = await sent('PATCH', location, part(100_000, 200_000))
    assert.deepEqual([second.status, second.headers.get('range')], [202, '0-199999'])
    const rest = { headers: { 'content-type': 'application/octet-stream' }, body: bytes.subarray(200_000) }
    const ended = await sent('PUT', withDigest(second.headers.get('location')!, digestOf(bytes)), rest)
    assert.equal(ended.status, 201)
    assert.deepEqual((await on.call('GET', `/v2/${IMAGE}/blobs/${digestOf(bytes)}`)).body, bytes)
  })
})
