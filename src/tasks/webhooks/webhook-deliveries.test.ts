import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { seededRandom } from '../../../test/helpers/ids.ts'
import {
  makeCluster,
  makeRepositories,
  type ReplicationServices,
  replicationServices,
  sampleTask,
} from '../../../test/helpers/replication-services.ts'
import { createSecrets } from '../../auth/secrets.ts'
import { pageRequest } from '../../core/paging.ts'
import type { ClaimedJob } from '../../jobs/job-queue.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { WebhookCall } from '../../remotes/webhook-client.ts'
import { NO_OVERVIEW } from '../record.ts'
import { closeRecord } from '../runs.ts'
import { createWebhookDeliveries } from './webhook-deliveries.ts'
import { signatureOf } from './webhook-message.ts'
import { createWebhookSettings } from './webhook-settings.ts'

const HOOK = { url: 'https://hooks.example/entrepot?x=1', secret: 'a shared secret' }
const DELAYS_MS = [10, 100]

/** A task with a webhook whose first run has ended, and whoever delivers. */
async function ended(db: MetadataDatabase, signal: AbortSignal, webhook: object | undefined = HOOK) {
  const services = replicationServices(db)
  const { clock, tasks, jobs } = services
  await makeRepositories(db, 'generic-local')
  const id = await makeCluster(services, 'beijing')
  const sample = sampleTask('plan', [id], 'generic-local')
  const task = await tasks.create({ ...sample, setting: { ...sample.setting, webhook } }, 'admin', signal)
  const recordId = jobs.requests[0]!.payload.recordId!
  const calls: WebhookCall[] = []
  const answers: (number | Error)[] = []
  const deliveries = createWebhookDeliveries({
    ...{ db, clock, queue: jobs, retryDelaysMs: DELAYS_MS },
    settings: createWebhookSettings(createSecrets(Buffer.alloc(32, 1), seededRandom()), { allowPrivate: false }),
    client: {
      async post(call) {
        calls.push(call)
        const answer = answers.shift() ?? 200
        if (answer instanceof Error) throw answer
        return answer
      },
    },
    formatTime: (at) => (at === null ? null : new Date(at).toISOString()),
  })
  const end = { recordId, status: 'FAILED', errorReason: 'beijing: no', replicatedBytes: 1, totalBytes: 2 } as const
  assert.ok(
    await db.transact((trx) => closeRecord(trx, { ...end, overview: { ...NO_OVERVIEW, failed: 1 }, now: clock.now() })),
  )
  const work = () => deliveries.handler({ payload: { recordId } } as unknown as ClaimedJob, signal)
  return { services, task, recordId, deliveries, calls, answers, work }
}
async function jobsFor({ db }: ReplicationServices): Promise<string[]> {
  const rows = await db.read.selectFrom('job').select(['kind', 'dedupe_key']).execute()
  return rows.map(({ kind, dedupe_key }) => `${kind} ${dedupe_key}`)
}

eachDatabase('webhook deliveries', (make) => {
  it('given a task with a webhook, when its run ends, then a signed message waits in the same transaction and goes out once', async (t) => {
    await using db = await make()
    const { services, task, recordId, deliveries, calls, work } = await ended(db, t.signal)
    assert.deepEqual(await jobsFor(services), [`deliver-webhook ${recordId}`])
    assert.equal(await work(), undefined)
    assert.equal(await work(), undefined)
    assert.equal(calls.length, 1)
    const [{ url, headers, body }] = calls as [WebhookCall]
    assert.equal(url, HOOK.url)
    const timestamp = headers['x-entrepot-timestamp']!
    assert.equal(timestamp, String(Math.floor(services.clock.now() / 1000)))
    assert.equal(headers['x-entrepot-signature'], signatureOf(HOOK.secret, timestamp, body))
    assert.equal(headers['x-entrepot-delivery'], recordId)
    const message = JSON.parse(body.toString())
    assert.deepEqual(
      [
        message.event,
        message.task.key,
        message.task.name,
        message.record.status,
        message.overview.failed,
        message.errorReason,
      ],
      ['replication.record.ended', task.key, 'plan', 'FAILED', 1, 'beijing: no'],
    )
    const { state, attempts, lastStatus, lastError, nextAttemptAt } = (await deliveries.find(recordId))!
    assert.deepEqual([state, attempts, lastStatus, lastError, nextAttemptAt], ['DELIVERED', 1, 200, null, null])
  })

  it('given a receiver that fails, when it is told, then it is tried again after growing pauses, with the same bytes, and given up', async (t) => {
    await using db = await make()
    const { services, recordId, deliveries, calls, answers, work, task } = await ended(db, t.signal)
    answers.push(500, new Error('connection refused'), 404)
    const first = await work()
    assert.equal(first?.retryAt, services.clock.now() + DELAYS_MS[0]!)
    assert.equal((await work())?.retryAt, first?.retryAt, 'not before its time')
    await services.clock.advance(DELAYS_MS[0]!)
    await work()
    const between = (await deliveries.find(recordId))!
    assert.deepEqual([between.state, between.attempts, between.lastError], ['PENDING', 2, 'connection refused'])
    await services.clock.advance(DELAYS_MS[1]!)
    assert.equal(await work(), undefined)
    const { records } = await deliveries.page(task.key, pageRequest(1, 20))
    assert.deepEqual(
      records.map(({ state, attempts, lastStatus }) => [state, attempts, lastStatus]),
      [['FAILED', 3, 404]],
    )
    assert.equal(new Set(calls.map(({ body }) => body.toString())).size, 1)
    await deliveries.again(recordId)
    await assert.rejects(deliveries.again(recordId), { code: 'TASK_STATUS_INVALID' })
    await assert.rejects(deliveries.again('nothing'), { code: 'TASK_NOT_FOUND' })
    await work()
    assert.equal((await deliveries.find(recordId))?.state, 'DELIVERED')
  })

  it('given a message under way, when its task is deleted or has no webhook any more, then it is dropped', async (t) => {
    await using db = await make()
    const { services, task, recordId, deliveries, calls, answers, work } = await ended(db, t.signal)
    answers.push(500)
    await work()
    const sample = sampleTask('plan', ['beijing'], 'generic-local')
    await services.tasks.update({ ...sample, key: task.key }, 'admin', t.signal)
    await services.clock.advance(1_000)
    assert.equal(await work(), undefined)
    assert.equal((await deliveries.find(recordId))?.state, 'DROPPED')
    await services.tasks.delete(task.key)
    assert.equal(await deliveries.find(recordId), undefined)
    assert.equal(await work(), undefined)
    assert.equal(calls.length, 1)
  })

  it('given a process that dies over an attempt, when another goes on, then that attempt counts, and the next one is not at once', async (t) => {
    await using db = await make()
    const { services, recordId, deliveries, calls, work } = await ended(db, t.signal)
    const dying = createWebhookDeliveries({
      ...{ db, clock: services.clock, queue: services.jobs, retryDelaysMs: DELAYS_MS, formatTime: () => null },
      settings: createWebhookSettings(createSecrets(Buffer.alloc(32, 1), seededRandom()), { allowPrivate: false }),
      client: { post: () => new Promise(() => {}) },
    })
    void dying.handler({ payload: { recordId } } as unknown as ClaimedJob, t.signal)
    while ((await deliveries.find(recordId))?.attempts === 0) await turn()
    const again = await work()
    assert.ok((again?.retryAt ?? 0) > services.clock.now())
    await services.clock.advance(again!.retryAt - services.clock.now())
    await work()
    assert.deepEqual([calls.length, (await deliveries.find(recordId))?.attempts], [1, 2])
  })

  it('given a webhook, when a task is read and written back, then its secret is never told and stays, also under another address', async (t) => {
    await using db = await make()
    const { services, task, calls, work } = await ended(db, t.signal)
    const row = await db.read.selectFrom('replication_task').select('setting').executeTakeFirstOrThrow()
    assert.ok(!row.setting.includes(HOOK.secret))
    const sample = sampleTask('plan', ['beijing'], 'generic-local')
    const update = (webhook: object) =>
      services.tasks.update({ ...sample, key: task.key, setting: { ...sample.setting, webhook } }, 'admin', t.signal)
    await update({ url: 'https://other.example/', secret: '******' })
    await work()
    const [{ url, headers, body }] = calls as [WebhookCall]
    assert.equal(url, 'https://other.example/')
    assert.equal(headers['x-entrepot-signature'], signatureOf(HOOK.secret, headers['x-entrepot-timestamp']!, body))
    await update({ url: 'https://other.example/', secret: '' })
    assert.equal((await services.tasks.get(task.key)).setting.webhook?.secret, null)
  })

  it('given addresses that are not to be called, when a webhook is set, then the field is named', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    await makeRepositories(db, 'generic-local')
    const id = await makeCluster(services, 'beijing')
    const sample = sampleTask('plan', [id], 'generic-local')
    const create = (webhook: unknown) =>
      services.tasks.create({ ...sample, setting: { ...sample.setting, webhook } }, 'admin', t.signal)
    for (const url of [
      'http://127.0.0.1:80/',
      'http://169.254.169.254/',
      'ftp://a.example',
      'nonsense',
      'http://u:p@a.example',
      'http://[::1]/?q',
    ]) {
      await assert.rejects(create({ url }), { code: 'PARAMETER_INVALID', message: /webhook\.url/ }, url)
    }
    await assert.rejects(create({ url: 'http://10.0.0.1/' }), { message: /security\.allowPrivateTargets/ })
    await assert.rejects(create({}), { code: 'PARAMETER_MISSING' })
    await assert.rejects(create('x'), { code: 'REQUEST_CONTENT_INVALID' })
  })
})
