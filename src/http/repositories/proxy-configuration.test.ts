import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { createProxyRepository as create } from '../../../test/helpers/proxies.ts'
import { scriptedUpstream } from '../../../test/helpers/scripted-upstream.ts'

const update = (api: ArtifactApi, configuration: object) =>
  api.send('POST', '/repository/api/repo/update/demo/remote', { body: { configuration } })
const info = async (api: ArtifactApi) =>
  (await api.send('GET', '/repository/api/repo/info/demo/remote')).data.configuration

eachDatabase('Configuration of proxies', (make) => {
  it('given a REMOTE configuration, when created and read, then it has its defaults and no password is shown or stored in clear', async () => {
    await using api = await artifactApi(await make())
    const credentials = { username: 'u', password: 'very-secret' }
    const proxy = { host: 'proxy.example', port: 3128, username: 'pu', password: 'proxy-secret' }
    const made = await create(api, 'remote', 'REMOTE', {
      type: 'remote',
      url: 'http://127.0.0.1:9/files/',
      credentials,
      network: { proxy },
      settings: { any: 1 },
    })
    const shown = {
      type: 'remote',
      settings: { any: 1 },
      url: 'http://127.0.0.1:9/files',
      credentials: { username: 'u', password: '******' },
      network: {
        proxy: { host: 'proxy.example', port: 3128, username: 'pu', password: '******' },
        connectTimeout: 10_000,
        readTimeout: 10_000,
      },
      cache: { enabled: true, expiration: -1 },
    }
    assert.deepEqual(made.configuration, shown)
    assert.deepEqual(await info(api), shown)
    const list = await api.send('GET', '/repository/api/repo/list/demo')
    const rows = [
      await api.db.read.selectFrom('repository').selectAll().execute(),
      await api.db.read.selectFrom('proxy_secret').selectAll().execute(),
    ]
    for (const secret of ['very-secret', 'proxy-secret'])
      assert.equal((JSON.stringify(rows) + list.body.toString()).includes(secret), false)
  })

  it('given a stored password, when an update sends it masked or leaves it out, then it stays; another server needs it again', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const sent = async (path: string) => {
      upstream.serve(path, 'x')
      await api.send('GET', `/generic/demo/remote${path}`)
      const header = upstream.requests.at(-1)?.headers.authorization
      return header && Buffer.from(header.slice(6), 'base64').toString()
    }
    await create(api, 'remote', 'REMOTE', { url: upstream.url, credentials: { username: 'u', password: 'p' } })
    assert.equal(await sent('/1'), 'u:p')
    assert.equal((await update(api, { cache: { expiration: 5 } })).status, 200)
    assert.equal((await info(api)).cache.expiration, 5)
    assert.equal(await sent('/2'), 'u:p')
    assert.equal((await update(api, { credentials: { username: 'v', password: '******' } })).status, 200)
    assert.equal(await sent('/3'), 'v:p')
    assert.equal((await update(api, { credentials: { username: 'v' }, url: `${upstream.url}/` })).status, 200)
    assert.equal(await sent('/4'), 'v:p')
    const elsewhere = await update(api, { url: 'http://other.example' })
    assert.equal(elsewhere.code, 250105)
    assert.match(elsewhere.body.toString(), /configuration\.credentials\.password.*again/)
    assert.equal((await update(api, { network: { proxy: { host: 'proxy.example' } } })).code, 250105)
    assert.equal((await update(api, { credentials: { username: 'v', password: 'q' } })).status, 200)
    assert.equal(await sent('/5'), 'v:q')
    assert.equal((await update(api, { credentials: {} })).status, 200)
    assert.equal(await sent('/6'), undefined)
    assert.deepEqual(await api.db.read.selectFrom('proxy_secret').selectAll().execute(), [])
    assert.equal((await update(api, { url: 'http://other.example' })).status, 200)
  })

  it('given bad values, when created, then the refusal names the field', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'local', 'LOCAL', {})
    const url = 'http://example.com'
    for (const [category, configuration, code, field] of [
      ['REMOTE', {}, 250103, 'configuration.url'],
      ['REMOTE', { url: ' ' }, 250104, 'configuration.url'],
      ['REMOTE', { url: 'ftp://example.com' }, 250105, 'configuration.url'],
      ['REMOTE', { url: 'http://169.254.169.254' }, 250105, 'configuration.url'],
      ['REMOTE', { url: 'http://u:p@example.com' }, 250105, 'configuration.url'],
      ['REMOTE', { url, type: 'virtual' }, 250105, 'configuration.type'],
      ['REMOTE', { url, type: 'other' }, 250106, 'configuration.type'],
      ['REMOTE', { url, credentials: { password: 'p' } }, 250103, 'configuration.credentials.username'],
      ['REMOTE', { url, credentials: { username: 'a:b' } }, 250105, 'configuration.credentials.username'],
      [
        'REMOTE',
        { url, credentials: { username: 'a', password: '******' } },
        250105,
        'configuration.credentials.password',
      ],
      ['REMOTE', { url, network: { readTimeout: 0 } }, 250105, 'configuration.network.readTimeout'],
      ['REMOTE', { url, network: { connectTimeout: 'x' } }, 250106, 'configuration.network.connectTimeout'],
      ['REMOTE', { url, network: { proxy: {} } }, 250103, 'configuration.network.proxy.host'],
      ['REMOTE', { url, network: { proxy: { host: '169.254.1.1' } } }, 250105, 'configuration.network.proxy.host'],
      ['REMOTE', { url, cache: { enabled: 'yes' } }, 250106, 'configuration.cache.enabled'],
      ['REMOTE', { url, cache: { expiration: 1.5 } }, 250106, 'configuration.cache.expiration'],
      ['VIRTUAL', {}, 250103, 'configuration.repositoryList'],
      ['VIRTUAL', { repositoryList: [{}] }, 250103, 'configuration.repositoryList[0].name'],
      ['COMPOSITE', { proxy: { channelList: [{ url }] } }, 250103, 'configuration.proxy.channelList[0].name'],
      ['COMPOSITE', { proxy: { channelList: [{ name: 'a' }] } }, 250103, 'configuration.proxy.channelList[0].url'],
      [
        'COMPOSITE',
        { proxy: { channelList: [{ name: 'a', url, credentialKey: 'k' }] } },
        250112,
        'configuration.proxy.channelList[0].credentialKey',
      ],
      [
        'COMPOSITE',
        { proxy: { channelList: [{ name: 'a', url, public: true, username: 'u' }] } },
        250105,
        'configuration.proxy.channelList[0].username',
      ],
      [
        'COMPOSITE',
        {
          proxy: {
            channelList: [
              { name: 'a', url },
              { name: 'a', url },
            ],
          },
        },
        250105,
        'configuration.proxy.channelList[1].name',
      ],
      ['LOCAL', { proxy: { channelList: [{ name: 'a', url }] } }, 250105, 'configuration.proxy.channelList'],
    ] as const) {
      const body = { projectId: 'demo', name: 'bad', type: 'GENERIC', category, configuration }
      const answer = await api.send('POST', '/repository/api/repo/create', { body })
      assert.equal(answer.code, code, `${JSON.stringify(configuration)}: ${answer.body}`)
      assert.ok(answer.body.toString().includes(field), `${field}: ${answer.body}`)
    }
  })
})
