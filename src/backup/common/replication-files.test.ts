import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type CommonRecords, type CommonSite, commonSite } from '../../../test/helpers/common-data.ts'
import { eachDatabase, type TestDatabase } from '../../../test/helpers/databases.ts'
import { makeCluster, makeRepositories, sampleTask } from '../../../test/helpers/replication-services.ts'
import { passwordPlace } from '../../clusters/clusters.ts'
import { insertCluster, listClusters } from '../../metadata/replication/clusters.ts'
import { listTaskTargets, updateTask } from '../../metadata/replication/tasks.ts'
import { webhookSecretPlace } from '../../tasks/webhooks/webhook-settings.ts'
import { passphraseKeyOf } from './secret-carrier.ts'

const signal = new AbortController().signal
const KEY = Buffer.alloc(32, 1)
const OTHER_KEY = Buffer.alloc(32, 2)
const HOOK = 'https://hooks.example/run?of=entrepot'

/** Everything that makes tasks: of all APIs, with a webhook, with times that have passed. */
async function withTasks(db: TestDatabase, site: CommonSite): Promise<void> {
  await makeRepositories(db, 'files', 'other')
  const peer = await makeCluster(site, 'peer')
  const keyed = { name: 'keyed', url: 'https://peer.example', type: 'STANDALONE', username: 'ann', ping: false }
  await site.clusters.create({ ...keyed, appId: 'app', accessKey: 'ak', secretKey: 'pair-secret' }, 'admin', signal)
  const edge = { name: 'edge', url: 'http://edge.example', type: 'EDGE', detectType: 'REPORT' }
  await site.clusters.create(edge, 'admin', signal)
  const constraints = { replicaObjectType: 'PATH', replicaType: 'REAL_TIME' }
  const paths = sampleTask('live', [peer], 'files')
  await site.tasks.create(
    {
      ...{ ...paths, ...constraints },
      replicaTaskObjects: [
        { ...paths.replicaTaskObjects[0], packageConstraints: null, pathConstraints: [{ path: '/a' }] },
      ],
      setting: { ...paths.setting, webhook: { url: HOOK, secret: 'hook-secret' }, rateLimit: 7 },
    },
    'admin',
    signal,
  )
  const planned = (name: string, more: object) => {
    const task = sampleTask(name, [peer], 'files', 'other')
    return site.tasks.create({ ...task, setting: { ...task.setting, ...more } }, 'admin', signal)
  }
  const executeTime = site.clock.now() + 1_000
  await planned('once at', { executionStrategy: 'SPECIFIED_TIME', executionPlan: { executeTime } })
  await planned('nightly', { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 3 * * ?' } })
  await site.tasks.create({ ...sampleTask('pull', ['edge'], 'files'), replicaType: 'EDGE_PULL' }, 'admin', signal)
  const everything = await planned('everything', {})
  const v1 = {
    ...{ includeAllProject: true, localProject: null, localRepo: null, remoteProject: null, remoteRepo: null },
    ...{ remote: { url: 'http://peer.example', username: 'admin', certificate: null, hasPassword: true } },
    interruptedAt: null,
  }
  const registry = (id: string, name: string) => ({
    ...{ id, name, type: 'REMOTE', url: 'https://registry.example', detect_type: 'PING', status: 'HEALTHY' },
    ...{ username: 'pusher', password: site.secrets.encrypt('registry-secret', passwordPlace(id)), certificate: null },
    ...{ app_id: null, access_key: null, secret_key: null, udp_port: null, error_reason: null, checked_at: null },
    ...{ peer_id: null, rate_limit: null, created_by: 'a', created_at: 1, modified_by: 'a', modified_at: 1 },
  })
  const push = await site.tasks.create(
    { ...sampleTask('push', [peer], 'files'), replicaType: 'RUN_ONCE' },
    'admin',
    signal,
  )
  const bring = await site.tasks.create(
    { ...sampleTask('bring', [peer], 'files'), replicaType: 'RUN_ONCE' },
    'admin',
    signal,
  )
  await db.transact(async (trx) => {
    await trx.deleteFrom('task_object').where('task_key', '=', everything.key).execute()
    await updateTask(trx, everything.key, {
      project: '',
      dynamic: '{"of":"all"}',
      v1: JSON.stringify(v1),
      include_permission: 1,
    })
    for (const [key, name, id] of [
      [push.key, 'bkrepo/files/hub', 'a'.repeat(24)],
      [bring.key, 'bkrepo/files/import/hub', 'b'.repeat(24)],
    ] as const) {
      await insertCluster(trx, registry(id, name))
      await trx.updateTable('task_target').set({ cluster_id: id }).where('task_key', '=', key).execute()
      const origin = key === push.key ? { name: 'hub', kind: 'registry' } : { name: 'hub', by: 'ann' }
      const column = key === push.key ? 'distribution' : 'imports'
      await updateTask(trx, key, { name, [column]: JSON.stringify(origin) })
    }
  })
  await site.clock.advance(60_000)
}
const SECRETS = ['pair-secret', 'hook-secret', 'registry-secret', ':"secret"']
const passwordOf = async (site: CommonSite, name: string) => {
  const cluster = await site.clusters.findByName(name)
  const { password, keys } = await site.clusters.getTarget(cluster!.id)
  return password ?? keys?.secretKey
}
const sorted = (records: CommonRecords, file: string, ...without: string[]) =>
  records[file]!.map((record) =>
    JSON.stringify(Object.fromEntries(Object.entries(record).filter(([name]) => !without.includes(name)))),
  ).sort()

eachDatabase('clusters and tasks of a backup', (make) => {
  for (const passphrase of [undefined, 'correct horse battery']) {
    it(`given all kinds of tasks, when they come back ${passphrase === undefined ? 'under the same key' : 'by a passphrase'}, then they are off, and can be switched on`, async () => {
      await using source = await make()
      await using target = await make()
      const passphraseKey = passphrase === undefined ? undefined : await passphraseKeyOf(passphrase)
      const from = commonSite(source, { secretKey: KEY, ...(passphraseKey && { passphraseKey }) })
      await withTasks(source, from)
      const records = await from.backup()
      const text = JSON.stringify(records)
      for (const secret of SECRETS) assert.equal(text.includes(secret), false, `case 34: ${secret} can be read`)
      const secretKey = passphrase === undefined ? KEY : OTHER_KEY
      const site = commonSite(target, { secretKey, ...(passphraseKey && { passphraseKey }) })
      const result = await site.restore(records, { repositories: () => makeRepositories(target, 'other', 'files') })
      assert.deepEqual([result.failures, result.warnings], [[], []])
      const back = await site.backup()
      assert.deepEqual(
        sorted(back, 'cluster.json', 'password', 'secretKey'),
        sorted(records, 'cluster.json', 'password', 'secretKey'),
      )
      assert.deepEqual(
        sorted(back, 'replica_task.json', 'enabled', 'setting'),
        sorted(records, 'replica_task.json', 'enabled', 'setting'),
      )
      const rows = await target.read.selectFrom('replication_task').selectAll().execute()
      assert.equal(rows.length, 7)
      for (const row of rows)
        assert.deepEqual([row.enabled, row.next_execution_at, row.status], [0, null, 'WAITING'], row.name)
      assert.deepEqual(await target.read.selectFrom('execution_record').selectAll().execute(), [])

      assert.equal(await passwordOf(site, 'peer'), 'secret')
      assert.equal(await passwordOf(site, 'keyed'), 'pair-secret')
      const registries = await listClusters(target.read, { type: 'REMOTE' })
      for (const { id, password } of registries) {
        assert.equal(site.secrets.decrypt(password!, passwordPlace(id)), 'registry-secret')
      }
      const taskOf = (name: string) => rows.find((row) => row.name === name)!
      const { webhook, rateLimit } = JSON.parse(taskOf('live').setting)
      assert.deepEqual([webhook.url, rateLimit], [HOOK, 7])
      assert.equal(site.secrets.decrypt(webhook.secret, webhookSecretPlace(HOOK)), 'hook-secret')
      const [live] = await listTaskTargets(target.read, [taskOf('live').key])
      assert.equal(live?.name, 'peer')

      for (const row of rows) await site.tasks.toggle(row.key, 'operator')
      const on = await target.read.selectFrom('replication_task').selectAll().execute()
      assert.ok(on.every(({ enabled }) => enabled === 1))
      assert.equal(on.find(({ name }) => name === 'live')?.last_execution_status, 'RUNNING')
      assert.notEqual(on.find(({ name }) => name === 'nightly')?.next_execution_at, null)
    })
  }

  it('given a server with another key and no passphrase, when clusters come back, then they do without secrets, and a warning names them', async () => {
    await using source = await make()
    await using target = await make()
    const from = commonSite(source, { secretKey: KEY })
    await withTasks(source, from)
    const site = commonSite(target, { secretKey: OTHER_KEY })
    const records = await from.backup()
    const repositories = () => makeRepositories(target, 'files', 'other')
    const { failures, warnings } = await site.restore(records, { repositories })
    assert.deepEqual(failures, [])
    assert.deepEqual(warnings.map((text) => text.split(':')[0]).sort(), [
      'cluster [bkrepo/files/hub] is restored without its password',
      'cluster [bkrepo/files/import/hub] is restored without its password',
      'cluster [keyed] is restored without its secretKey',
      'cluster [peer] is restored without its password',
      'task [live] is restored without the secret of its webhook',
    ])
    const peer = (await site.clusters.findByName('peer'))!
    assert.equal((await site.clusters.getTarget(peer.id)).password, undefined)
    // Entered again, it stays when the same backup is restored once more.
    await site.clusters.update({ name: 'peer', password: 'again', ping: false }, 'operator', signal)
    assert.equal(
      (await site.restore(records)).warnings.some((text) => text.includes('[peer]')),
      false,
    )
    assert.equal(await passwordOf(site, 'peer'), 'again')
  })

  it('given tasks that are there, when restored with OVERWRITE, then they are as in the backup, under their keys and off; with SKIP they stay', async () => {
    await using db = await make()
    const site = commonSite(db)
    await withTasks(db, site)
    const records = await site.backup()
    const keys = () => db.read.selectFrom('replication_task').select(['key', 'enabled']).orderBy('key').execute()
    const before = await keys()
    const skipped = await site.restore(records, { onConflict: 'SKIP' })
    assert.deepEqual([skipped.failures, skipped.success, skipped.skipped], [[], 0, 12])
    assert.deepEqual(await keys(), before)
    assert.equal(
      (await db.read.selectFrom('execution_record').select('id').where('status', '=', 'RUNNING').execute()).length,
      2,
    )
    const running = await db.read
      .selectFrom('execution_record')
      .innerJoin('replication_task', 'replication_task.key', 'execution_record.task_key')
      .where('execution_record.status', '=', 'RUNNING')
      .select('replication_task.name')
      .orderBy('replication_task.name')
      .execute()
    const refused = await site.restore(records)
    assert.deepEqual(
      running.map(({ name }) => name),
      ['everything', 'live'],
    )
    assert.equal(refused.failures.length, 1, refused.failures.join('\n'))
    assert.match(refused.failures[0]!, /^replica_task\.json: everything: .*run/)
    const after = await keys()
    assert.deepEqual(
      after.map(({ key }) => key),
      before.map(({ key }) => key),
    )
    assert.deepEqual(after.filter(({ enabled }) => enabled === 1).length, 1, 'all but the one that runs')
    assert.equal(
      (await db.read.selectFrom('execution_record').select('id').where('status', '=', 'RUNNING').execute()).length,
      1,
    )
    const again = await site.backup()
    assert.deepEqual(
      sorted(again, 'replica_task.json', 'enabled', 'setting'),
      sorted(records, 'replica_task.json', 'enabled', 'setting'),
    )
  })

  it('given a CENTER here, when another or the same comes back, then it is never touched', async () => {
    await using source = await make()
    await using target = await make()
    const [from, site] = [commonSite(source), commonSite(target)]
    const center = { name: 'center', url: 'http://center.example', type: 'CENTER', ping: false }
    await from.clusters.create(center, 'admin', signal)
    await site.clusters.create({ ...center, url: 'http://ours.example' }, 'admin', signal)
    const records = await from.backup()
    const same = await site.restore(records)
    assert.deepEqual([same.failures, same.skipped], [[], 1])
    const other = await site.restore({
      'cluster.json': records['cluster.json']!.map((one) => ({ ...one, name: 'second' })),
    })
    assert.deepEqual(other.failures, ['cluster.json: second: cluster center node is existed: [center]'])
    assert.deepEqual(
      (await listClusters(target.read, {})).map(({ url }) => url),
      ['http://ours.example'],
    )
  })

  it('given tasks whose cluster, repository or project is missing, when restored, then each is told and the others come', async () => {
    await using source = await make()
    await using target = await make()
    const [from, site] = [commonSite(source), commonSite(target)]
    await withTasks(source, from)
    const records = await from.backup()
    const clusters = records['cluster.json']!.filter(({ name }) => name !== 'edge')
    const repositories = () => makeRepositories(target, 'files')
    const { failures } = await site.restore({ ...records, 'cluster.json': clusters }, { repositories })
    assert.deepEqual(failures.toSorted(), [
      'replica_task.json: nightly: Repository [bkrepo/other] not found',
      'replica_task.json: once at: Repository [bkrepo/other] not found',
      'replica_task.json: pull: cluster node [edge] is not found',
    ])
    assert.equal((await target.read.selectFrom('replication_task').select('key').execute()).length, 4)
    await using empty = await make()
    const nowhere = await commonSite(empty).restore(records)
    assert.ok(nowhere.failures.includes('replica_task.json: live: Project [bkrepo] not found'))
  })

  it('given bad clusters and tasks, when restored, then each is refused by itself, and no secret is told', async () => {
    await using source = await make()
    await using target = await make()
    const [from, site] = [commonSite(source), commonSite(target)]
    await withTasks(source, from)
    const records = await from.backup()
    const named = (file: string, name: string) => records[file]!.find((one) => one.name === name)!
    const peer = named('cluster.json', 'peer')
    const live = named('replica_task.json', 'live')
    const hub = named('replica_task.json', 'bkrepo/files/hub')
    const setting = live.setting as Record<string, unknown>
    const objects = live.replicaTaskObjects as Record<string, unknown>[]
    const bad = {
      'cluster.json': [
        { ...peer, url: 'http://169.254.169.254/topsecret' },
        { ...peer, url: 'http://ann:topsecret@peer.example' },
        { ...peer, type: 'PLANET' },
        { ...peer, detectType: 'REPORT' },
        { ...peer, certificate: 'topsecret' },
        { ...peer, password: 5 },
        { ...peer, name: 'x' },
        { ...peer, rateLimit: -1 },
      ],
      'replica_task.json': [
        { ...live, localProjectId: '../x' },
        { ...live, replicaType: 'NEVER' },
        { ...live, remoteClusters: [] },
        { ...live, remoteClusters: ['bkrepo/files/hub'] },
        { ...live, recordReserveDays: 1e6 },
        { ...live, dynamic: { of: 'some' } },
        { ...live, replicaTaskObjects: [] },
        { ...live, replicaTaskObjects: [{ ...objects[0], pathConstraints: [{ path: null, pathRegex: '(' }] }] },
        { ...live, replicaTaskObjects: [{ ...objects[0], remoteRepoName: '../x' }] },
        { ...live, replicaTaskObjects: [{ ...objects[0], repoType: 'NPM' }] },
        { ...live, setting: { ...setting, webhook: { url: 'http://127.0.0.1/topsecret', secret: 'topsecret' } } },
        { ...live, setting: { ...setting, conflictStrategy: 'WIN' } },
        { ...live, distribution: { name: 'hub', kind: 'cluster' } },
        { ...hub, distribution: { name: 'other', kind: 'registry' } },
        { ...hub, remoteClusters: ['peer'] },
      ],
    } as CommonRecords
    const count = Object.values(bad).reduce((sum, list) => sum + list.length, 0)
    const good = { 'cluster.json': records['cluster.json']! }
    await site.restore(good, { repositories: () => makeRepositories(target, 'files', 'other') })
    const { failures, success } = await site.restore(bad)
    assert.deepEqual([failures.length, success], [count, 0], failures.join('\n'))
    assert.equal(failures.join().includes('topsecret'), false, failures.join('\n'))
  })
})
