import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { createTunnelKeeper } from './tunnel-keeper.ts'

const DELAYS_MS = [1_000, 2_000, 4_000]

/** Connections that are opened as a test says. */
function keeping(open: () => Promise<Socket>) {
  const clock = manualClock()
  const uses: (() => void)[] = []
  const sockets: Socket[] = []
  const troubles: unknown[] = []
  const state = { attempts: 0 }
  const keeper = createTunnelKeeper({
    ...{ clock, random: { next: () => 0.5, bytes: (count) => Buffer.alloc(count) } },
    ...{ idle: 3, most: 5, retryDelaysMs: DELAYS_MS },
    open: async () => {
      state.attempts++
      const socket = await open()
      sockets.push(socket)
      return socket
    },
    serve: (_socket, onUse) => void uses.push(onUse),
    onTrouble: (error) => void troubles.push(error),
  })
  return { clock, keeper, uses, sockets, troubles, state }
}
const pipe = async () => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }) as Socket
async function settle() {
  for (let count = 0; count < 20; count++) await turn()
}

it('given a centre, when an edge runs, then some connections wait there, and others are opened as they are used', async () => {
  const { keeper, uses, state } = keeping(pipe)
  const stop = new AbortController()
  const running = keeper.run(stop.signal)
  await settle()
  assert.deepEqual([keeper.waiting, keeper.open], [3, 3])
  uses[0]!()
  uses[0]!()
  await settle()
  assert.deepEqual([keeper.waiting, keeper.open], [3, 4])
  for (const use of uses) use()
  await settle()
  assert.deepEqual([keeper.waiting, keeper.open, state.attempts], [1, 5, 5], 'never more than the most')
  stop.abort()
  await running
  await settle()
  assert.deepEqual([keeper.waiting, keeper.open], [0, 4], 'those that are used go on')
})

it('given a centre that is away, when an edge runs, then it tries with one connection and growing pauses, and comes back at once', async () => {
  let isThere = false
  const { clock, keeper, state, troubles } = keeping(async () => {
    if (!isThere) throw new Error('refused')
    return pipe()
  })
  const stop = new AbortController()
  const running = keeper.run(stop.signal)
  await settle()
  assert.equal(state.attempts, 3)
  const attempts: number[] = []
  for (const delayMs of DELAYS_MS) {
    await clock.advance(delayMs)
    await settle()
    attempts.push(state.attempts)
  }
  assert.deepEqual(attempts, [4, 5, 6])
  assert.equal(troubles.length, 6)
  isThere = true
  await clock.advance(DELAYS_MS[2]!)
  await settle()
  assert.equal(keeper.waiting, 1, 'until it proved itself')
  await clock.advance(5_000)
  await settle()
  assert.equal(keeper.waiting, 3)
  stop.abort()
  await running
})

it('given a centre that takes connections and closes them, when an edge runs, then it pauses between them', async () => {
  const { clock, keeper, sockets, state } = keeping(pipe)
  const stop = new AbortController()
  const running = keeper.run(stop.signal)
  await settle()
  for (const socket of sockets) socket.destroy()
  await settle()
  assert.deepEqual([state.attempts, keeper.open], [3, 0])
  await clock.advance(DELAYS_MS[0]!)
  await settle()
  assert.deepEqual([state.attempts, keeper.open], [4, 1])
  stop.abort()
  await running
})
