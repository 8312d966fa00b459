import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { it } from 'node:test'
import { until } from '../helpers/edge-calls.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { twoClusters } from '../helpers/two-clusters.ts'
import { webhookReceiver } from '../helpers/webhook-receiver.ts'

const ENV = { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true', ENTREPOT_WEBHOOKS_RETRY_DELAYS_MS: '10,20,30' }
const SECRET = 'a shared secret'

interface Delivery {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly lastStatus: number | null
}

eachDialect('webhooks', (dialect) => {
  it('given a task with a webhook, when its run ends, then a receiver that failed at first gets a message that it can verify', async (t) => {
    await using receiver = await webhookReceiver()
    await using clusters = await twoClusters(dialect, t.signal, ENV)
    receiver.answer((nth) => ({ status: nth < 3 ? 503 : 204 }))
    await clusters.put(clusters.a, '/a.txt', 'a')
    const webhook = { url: `${receiver.url}/hook?who=entrepot`, secret: SECRET }
    const { key, record } = await clusters.replicate({ setting: { webhook } })
    const { api } = clusters.a
    const find = () => api.call<Delivery>('GET', `/replication/api/task/webhook/info/${record.id}`, undefined, t.signal)
    const delivery = await until(find, ({ state }) => state === 'DELIVERED', t.signal)
    assert.deepEqual([delivery.id, delivery.attempts, delivery.lastStatus], [record.id, 3, 204])
    assert.deepEqual(
      receiver.received.map(({ path }) => path),
      Array(3).fill('/hook?who=entrepot'),
    )
    for (const { headers, body } of receiver.received) {
      const timestamp = headers['x-entrepot-timestamp']
      const expected = createHmac('sha256', SECRET).update(`${timestamp}.`).update(body).digest('hex')
      assert.equal(headers['x-entrepot-signature'], `sha256=${expected}`)
      assert.equal(headers['x-entrepot-delivery'], record.id)
    }
    const message = JSON.parse(receiver.received[2]!.body.toString())
    assert.deepEqual(
      [message.event, message.task.key, message.record.status, message.overview.success, message.errorReason],
      ['replication.record.ended', key, 'SUCCESS', 1, null],
    )
    assert.equal(message.record.endTime, record.endTime)

    const { setting } = await api.call<{ setting: { webhook: object } }>(
      'GET',
      `/replication/api/task/info/${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(setting.webhook, { url: webhook.url, secret: '******' })
    await api.call('POST', `/replication/api/task/webhook/retry/${record.id}`, undefined, t.signal)
    await until(
      async () => receiver.received.length,
      (count) => count === 4,
      t.signal,
    )
  })

  it('given a receiver that never answers well, when its attempts are over, then it is given up, and a deleted task takes all with it', async (t) => {
    await using receiver = await webhookReceiver()
    await using clusters = await twoClusters(dialect, t.signal, ENV)
    receiver.answer(() => ({ status: 307, headers: { location: '/elsewhere' } }))
    const { key } = await clusters.replicate({ setting: { webhook: { url: receiver.url } } })
    const { api } = clusters.a
    const page = () =>
      api.call<{ records: Delivery[] }>('GET', `/replication/api/task/webhook/page/${key}`, undefined, t.signal)
    const { records } = await until(page, (found) => found.records[0]?.state === 'FAILED', t.signal)
    assert.deepEqual([records.length, records[0]?.attempts, records[0]?.lastStatus], [1, 4, 307])
    assert.ok(
      receiver.received.every(({ headers, path }) => headers['x-entrepot-signature'] === undefined && path === '/'),
    )
    await api.call('DELETE', `/replication/api/task/delete/${key}`, undefined, t.signal)
    assert.deepEqual((await page()).records, [])
  })

  it('given private targets that are not allowed, when a webhook has one, then the refusal names the field and the setting', async (t) => {
    await using receiver = await webhookReceiver()
    await using clusters = await twoClusters(dialect, t.signal)
    await assert.rejects(
      clusters.create({ setting: { webhook: { url: receiver.url } } }),
      /250105.*webhook\.url.*security\.allowPrivateTargets/,
    )
  })
})
