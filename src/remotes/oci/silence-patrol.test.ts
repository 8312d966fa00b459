import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { LinkDown, NotConnected } from '../transport/failures.ts'
import { createRegistryConnection } from './registry-connection.ts'
import { createSilencePatrol } from './silence-patrol.ts'

it('given several that are watched, when one stays silent for its limit, then it alone is told, once', async () => {
  const clock = manualClock()
  using patrol = createSilencePatrol(clock, 1_000)
  const told: string[] = []
  const watched = (name: string, limitMs: number, progress: () => number) => ({
    ...{ limitMs, progress },
    onSilence: () => void told.push(name),
  })
  let bytes = 0
  const going = watched('going', 2_000, () => bytes++)
  using _going = patrol.watch(going)
  using _paused = patrol.watch(watched('paused', 2_000, () => Number.NaN))
  using _silent = patrol.watch(watched('silent', 2_000, () => 7))
  patrol.watch(watched('over', 2_000, () => 7))[Symbol.dispose]()
  await clock.advance(10_000)
  assert.deepEqual(told, ['silent'])
  going.progress = () => 0
  await clock.advance(10_000)
  assert.deepEqual(told, ['silent', 'going'])
})

it('given silence at each stage of a request, when its limit is over, then it is told which', async (t) => {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const clock = manualClock()
  const limits = { connections: 8, connectTimeoutMs: 1_000, silenceMs: 5_000 }
  const deps = { clock, rules: { allowPrivate: true }, lookup: () => {} }
  using connection = createRegistryConnection({ url: `http://127.0.0.1:${port}` }, limits, deps)
  const ask = (url: string) => connection.ask(new URL(url), { method: 'GET', headers: {} }, t.signal)
  const silent = ask(`http://127.0.0.1:${port}/v2/`)
  const nameless = ask('http://never-resolves.example/v2/')
  const both = Promise.allSettled([silent, nameless])
  while (sockets.length === 0) await new Promise(setImmediate)
  await clock.untilSleeping()
  await clock.advance(7_000)
  await both
  await assert.rejects(nameless, (error) => error instanceof NotConnected && /1000 ms/.test(error.message))
  await assert.rejects(silent, (error) => error instanceof LinkDown && /5000 ms/.test(error.message))
})
