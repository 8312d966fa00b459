import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'

const FILE = '/generic/demo/open/f'
const META = '/repository/api/metadata/demo/open/f'
const FORBID = '/repository/api/metadata/forbid/demo/open/f'

eachDatabase('metadata routes', (make) => {
  it('given a forbidden file, when downloaded, then it is refused on every way until it is allowed again', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api, 'demo/open', 'public')
    await api.send('PUT', FILE, { body: 'bytes' })
    const { headers } = await api.send('HEAD', FILE)
    const forbid = (value: unknown, user = 'admin') =>
      api.send('POST', FORBID, { user, body: { nodeMetadata: [{ key: 'forbidStatus', value, description: 'virus' }] } })

    assert.equal((await forbid(true, 'ann')).status, 403)
    assert.equal((await forbid('perhaps')).code, 250105)
    assert.equal((await api.send('POST', FORBID, { body: { metadata: { other: 1 } } })).code, 250103)
    assert.equal((await forbid(true)).status, 200)
    const refused = await api.send('GET', FILE)
    assert.deepEqual([refused.status, refused.code], [403, 251029])
    for (const [method, more] of [
      ['HEAD', {}],
      ['GET', { range: 'bytes=0-1' }],
      ['GET', { 'if-none-match': headers.etag }],
    ] as const) {
      assert.equal((await api.send(method, FILE, { headers: more })).status, 403)
    }
    const { data } = await api.send('GET', '/repository/api/node/detail/demo/open/f')
    assert.deepEqual(data.metadata, { forbidStatus: true, forbidUser: 'admin', forbidType: 'MANUAL' })
    assert.deepEqual([data.nodeMetadata[0].system, data.nodeMetadata[0].description], [true, 'virus'])
    assert.equal((await api.send('DELETE', META, { body: { keyList: ['forbidStatus'] } })).code, 251035)

    assert.equal((await api.send('POST', FORBID, { body: { metadata: { forbidStatus: 'false' } } })).status, 200)
    assert.equal((await api.send('GET', FILE)).body.toString(), 'bytes')
  })

  it('given a folder or nothing, when forbidden, then it is refused', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api, 'demo/open')
    await api.send('POST', '/repository/api/node/mkdir/demo/open/folder')
    const forbid = (path: string) =>
      api.send('POST', `/repository/api/metadata/forbid/demo/open/${path}`, {
        body: { metadata: { forbidStatus: true } },
      })
    assert.equal((await forbid('folder')).code, 250105)
    assert.equal((await forbid('nothing')).code, 251010)
  })

  it('given a key of the system in any case, when a user sets or deletes it, then it is refused, in headers too', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api, 'demo/open')
    const upload = (header: string) => api.send('PUT', FILE, { body: 'bytes', headers: { [header]: 'x' } })
    assert.equal((await upload('X-BKREPO-META-scanStatus')).code, 251035)
    assert.equal((await upload('X-BKREPO-META-forbidstatus')).code, 251035)
    assert.equal((await upload('X-BKREPO-META-mine')).status, 200)
    for (const key of ['scanStatus', 'SCANSTATUS', 'qualityRedLine', 'forbidUser', 'forbidtype']) {
      assert.equal((await api.send('POST', META, { body: { metadata: { [key]: 1 } } })).code, 251035)
      assert.equal((await api.send('POST', META, { body: { nodeMetadata: [{ key, value: 1 }] } })).code, 251035)
      assert.equal((await api.send('DELETE', META, { body: { keyList: [key] } })).code, 251035)
    }
    assert.deepEqual((await api.send('GET', META)).data, { mine: 'x' })
  })
})
