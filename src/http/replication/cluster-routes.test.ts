import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { replicationApi } from '../../../test/helpers/replication-api.ts'
import { makeRepositories, sampleTask } from '../../../test/helpers/replication-services.ts'
import { AppError } from '../../core/errors.ts'

const beijing = {
  name: 'beijing',
  url: 'http://beijing.example/replication',
  type: 'STANDALONE',
  username: 'admin',
  password: 'p4ss',
  certificate: null,
  rateLimit: 0,
  appId: null,
  accessKey: null,
  secretKey: null,
}

eachDatabase('cluster API', (make) => {
  it('given a cluster, when created, updated and read, then it is shown in full and its password never', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    assert.deepEqual(await api.call('POST', '/cluster/create', beijing), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    const byName = await api.call('GET', '/cluster/info?name=beijing')
    assert.deepEqual(byName.data, {
      id: byName.data.id,
      name: 'beijing',
      status: 'HEALTHY',
      errorReason: null,
      type: 'STANDALONE',
      url: 'http://beijing.example/replication',
      username: 'admin',
      certificate: null,
      rateLimit: 0,
      appId: null,
      accessKey: null,
      udpPort: null,
      extension: null,
      createdBy: 'admin',
      createdDate: '2026-01-01T00:00:00.000',
      lastModifiedBy: 'admin',
      lastModifiedDate: '2026-01-01T00:00:00.000',
      detectType: 'PING',
      lastReportTime: null,
    })
    assert.deepEqual((await api.call('GET', `/cluster/info/${byName.data.id}`)).data, byName.data)
    const updated = await api.call('POST', '/cluster/update', { name: 'beijing', url: 'b.example' })
    assert.equal(updated.data.url, 'http://b.example')
    for (const path of ['list', 'list?name=bei&type=standalone', 'page?type=STANDALONE']) {
      const { data } = await api.call('GET', `/cluster/${path}`)
      assert.deepEqual(data.records ?? data, [updated.data])
    }
    assert.deepEqual((await api.call('GET', '/cluster/exist?name=beijing')).data, true)
    assert.deepEqual(await api.call('DELETE', `/cluster/delete/${byName.data.id}`), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    assert.deepEqual((await api.call('GET', '/cluster/exist?name=beijing')).data, false)
    assert.equal((await api.call('GET', `/cluster/info/${byName.data.id}`)).data, null)
  })

  it('given a cluster, when tryConnect comes as query, as body of GET or as POST, then all are the same', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    await api.call('POST', '/cluster/create', beijing)
    const calls = [
      () => api.call('GET', '/cluster/tryConnect?name=beijing'),
      () => api.call('GET', '/cluster/tryConnect', { name: 'beijing' }),
      () => api.call('POST', '/cluster/tryConnect', { name: 'beijing' }),
      () => api.call('POST', '/cluster/tryConnect?name=beijing'),
    ]
    for (const call of calls) assert.equal((await call()).code, 0)
    api.probe.answer = () => {
      throw new AppError('CLUSTER_CONNECT_ERROR', 'connection refused')
    }
    for (const call of calls) {
      const { status, code, message } = await call()
      assert.deepEqual([status, code], [400, 250301])
      assert.match(message ?? '', /^remote cluster \[beijing\] connect error/)
    }
    assert.equal((await api.call('GET', '/cluster/info?name=beijing')).data.status, 'UNHEALTHY')
  })

  it('given wrong calls, when made, then each is refused with its code', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    await api.call('POST', '/cluster/create', beijing)
    const refused: [method: 'GET' | 'POST' | 'DELETE', path: string, body: unknown, status: number, code: number][] = [
      ['POST', '/cluster/create', beijing, 400, 250305],
      ['POST', '/cluster/create', { ...beijing, name: '' }, 400, 250104],
      ['POST', '/cluster/create', { ...beijing, name: 'x' }, 400, 250105],
      ['POST', '/cluster/create', { ...beijing, url: 'http://[fe80::1]/' }, 400, 250105],
      ['POST', '/cluster/create', { ...beijing, name: 'docker', type: 'REMOTE' }, 400, 250112],
      ['POST', '/cluster/update', { ...beijing, type: 'EDGE' }, 400, 250105],
      ['POST', '/cluster/create', { ...beijing, type: 'x' }, 400, 250106],
      ['POST', '/cluster/create', undefined, 400, 250106],
      ['POST', '/cluster/update', { name: 'nobody' }, 400, 250306],
      ['GET', '/cluster/tryConnect?name=nobody', undefined, 400, 250306],
      ['GET', '/cluster/tryConnect', undefined, 400, 250103],
      ['GET', '/cluster/tryConnect', 'no json', 400, 250106],
      ['POST', '/cluster/tryConnect', { name: ' ' }, 400, 250104],
      ['DELETE', '/cluster/delete/nothing', undefined, 400, 250306],
      ['GET', '/cluster/info', undefined, 400, 250103],
      ['GET', '/cluster/info/center', undefined, 400, 250306],
      ['GET', '/cluster/exist', undefined, 400, 250103],
      ['GET', '/cluster/list?type=moon', undefined, 400, 250131],
    ]
    for (const [method, path, body, status, code] of refused) {
      const answer = await api.call(method, path, body)
      assert.deepEqual([answer.status, answer.code], [status, code], `${method} ${path}: ${answer.message}`)
    }
    assert.deepEqual((await api.call('GET', '/cluster/list/edge')).data, [])
  })

  it('given a centre, when a second one is made, even at the same time, then it is 250309, and no task has one as target', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    const centre = { ...beijing, type: 'CENTER' }
    const made = await Promise.all(
      ['first', 'second'].map((name) => api.call('POST', '/cluster/create', { ...centre, name })),
    )
    assert.deepEqual(made.map(({ code }) => code).sort(), [0, 250309])
    const again = await api.call('POST', '/cluster/create', { ...centre, name: 'third' })
    assert.deepEqual([again.status, again.code], [400, 250309])
    const { data } = await api.call('GET', '/cluster/info/center')
    assert.equal(data.type, 'CENTER')
    assert.equal((await api.call('POST', '/cluster/create', { ...centre, name: data.name })).code, 250305)
    await makeRepositories(db, 'generic-local')
    const task = await api.call('POST', '/task/create', sampleTask('to the centre', [data.id], 'generic-local'))
    assert.deepEqual([task.status, task.code], [400, 250105])
    await api.call('DELETE', `/cluster/delete/${data.id}`)
    assert.equal((await api.call('POST', '/cluster/create', { ...centre, name: 'third' })).code, 0)
  })

  it('given a user who is no administrator, when any cluster call is made, then it is refused', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    const calls = [
      ['POST', '/cluster/create'],
      ['POST', '/cluster/update'],
      ['GET', '/cluster/tryConnect'],
      ['POST', '/cluster/tryConnect'],
      ['DELETE', '/cluster/delete/x'],
      ['GET', '/cluster/exist?name=x'],
      ['GET', '/cluster/info?name=x'],
      ['GET', '/cluster/info/x'],
      ['GET', '/cluster/info/center'],
      ['GET', '/cluster/list'],
      ['GET', '/cluster/list/edge'],
      ['GET', '/cluster/page'],
    ] as const
    for (const [method, path] of calls) {
      const someone = await api.callAs('someone', method, path)
      assert.deepEqual([someone.status, someone.code], [403, 250113], path)
      const nobody = await api.callAs(undefined, method, path)
      assert.deepEqual([nobody.status, nobody.code], [401, 250114], path)
    }
  })
})
