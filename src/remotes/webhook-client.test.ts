import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { webhookReceiver } from '../../test/helpers/webhook-receiver.ts'
import { systemClock } from '../app/system-clock.ts'
import { LinkDown } from './transport/failures.ts'
import { createWebhookClient } from './webhook-client.ts'

const body = Buffer.from('{"event":"x"}')
const client = createWebhookClient({ clock: systemClock, rules: { allowPrivate: true } })

it('given a receiver, when it is told, then it gets the bytes with the headers, and its status comes back, whatever it is', async (t) => {
  await using receiver = await webhookReceiver()
  const call = { url: `${receiver.url}/hook?token=t`, headers: { 'x-entrepot-delivery': 'd' }, body }
  assert.equal(await client.post(call, t.signal), 200)
  receiver.answer(() => ({ status: 503 }))
  assert.equal(await client.post(call, t.signal), 503)
  const [first] = receiver.received
  assert.deepEqual([first?.path, first?.body, first?.headers['x-entrepot-delivery']], ['/hook?token=t', body, 'd'])
  assert.equal(first?.headers['content-type'], 'application/json')
})

it('given a receiver that redirects, or answers far too much, when it is told, then nobody follows, and nobody reads on', async (t) => {
  await using receiver = await webhookReceiver()
  receiver.answer(() => ({ status: 302, headers: { location: `${receiver.url}/elsewhere` } }))
  assert.equal(await client.post({ url: receiver.url, headers: {}, body }, t.signal), 302)
  assert.equal(receiver.received.length, 1)
  receiver.answer(() => ({ status: 200, body: Buffer.alloc(8 * 1024 * 1024) }))
  assert.equal(await client.post({ url: receiver.url, headers: {}, body }, t.signal), 200)
})

it('given a private address that is allowed no more, or a name for one, when it is told, then no connection is made', async (t) => {
  await using receiver = await webhookReceiver()
  const strict = createWebhookClient({ clock: systemClock, rules: { allowPrivate: false } })
  const post = (url: string) => strict.post({ url, headers: {}, body }, t.signal)
  await assert.rejects(post(receiver.url), { code: 'PARAMETER_INVALID', message: /webhook\.url.*allowPrivateTargets/ })
  await assert.rejects(post(receiver.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')), { code: 'PARAMETER_INVALID' })
  assert.equal(receiver.received.length, 0)
})

it('given a receiver that is silent, when it is told, then it is given up after 10 s', async (t) => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const clock = manualClock()
  const slow = createWebhookClient({ clock, rules: { allowPrivate: true } })
  const told = assert.rejects(slow.post({ url: `http://127.0.0.1:${port}`, headers: {}, body }, t.signal), LinkDown)
  await clock.untilSleeping()
  await clock.advance(10_000)
  await told
  server.close()
})
