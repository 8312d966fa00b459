import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { createRemoteStates } from './remote-states.ts'

const MB = 1_000_000
const CHUNK = 64 * 1024
const SETTINGS = { streams: 2, maxStreams: 16, bytesPerSecond: 0, circuitPauseMs: 5_000 }

/** What streams of each limit send in `seconds`, chunk by chunk. */
async function sent(limits: readonly { limit: RateLimit; streams: number }[], seconds: number, clock = manualClock()) {
  const stop = new AbortController()
  const bytes = limits.map(() => 0)
  const all = limits.flatMap(({ limit, streams }, n) =>
    Array.from({ length: streams }, async (_, stream) => {
      const own = limit.nested(String(stream), undefined)
      while (!stop.signal.aborted) {
        await own.take(CHUNK, stop.signal)
        bytes[n]! += CHUNK
      }
    }).map((work) => work.catch(() => undefined)),
  )
  for (let ms = 0; ms < seconds * 1000; ms += 5) {
    await clock.advance(5)
    await setImmediate()
  }
  stop.abort()
  await Promise.all(all)
  return bytes
}
const within3Percent = (bytes: number, expected: number) =>
  assert.ok(Math.abs(bytes / expected - 1) <= 0.03, `${bytes} bytes, not ${expected}`)

describe('what may be sent', () => {
  for (const [rate, streams] of [
    [20, 8],
    [4, 1],
  ] as const) {
    it(`given ${rate} MB/s for a task with ${streams} streams, when 5 s pass, then it is kept within 3 %`, async () => {
      const clock = manualClock()
      const limit = createRemoteStates(clock, SETTINGS).rate('task', rate * MB, { id: 'beta' })
      within3Percent((await sent([{ limit, streams }], 5, clock))[0]!, rate * MB * 5)
    })
  }

  it('given a task with two targets, when both are sent to, then its limit holds for both together', async () => {
    const clock = manualClock()
    const remotes = createRemoteStates(clock, SETTINGS)
    const limits = ['beta', 'gamma'].map((id) => ({ limit: remotes.rate('task', 4 * MB, { id }), streams: 2 }))
    const [beta, gamma] = (await sent(limits, 5, clock)) as [number, number]
    within3Percent(beta + gamma, 4 * MB * 5)
    within3Percent(beta, gamma)
  })

  it('given a target with a limit, when two tasks send there, then it holds for both together and they share it, whatever their streams', async () => {
    const clock = manualClock()
    const remotes = createRemoteStates(clock, SETTINGS)
    const target = { id: 'beta', rateLimit: 4 * MB }
    const limits = [
      { limit: remotes.rate('a', 0, target), streams: 6 },
      { limit: remotes.rate('b', 0, target), streams: 1 },
    ]
    const [a, b] = (await sent(limits, 5, clock)) as [number, number]
    within3Percent(a + b, 4 * MB * 5)
    within3Percent(a, b)
  })

  it('given changes as they come and what was there, when the target is the limit, then the second keeps a tenth', async () => {
    const clock = manualClock()
    const remotes = createRemoteStates(clock, SETTINGS)
    const target = { id: 'beta', rateLimit: 4 * MB }
    const limits = [
      { limit: remotes.rate('a', 0, target, 'live'), streams: 2 },
      { limit: remotes.rate('b', 0, target), streams: 2 },
    ]
    const [live, old] = (await sent(limits, 5, clock)) as [number, number]
    within3Percent(live + old, 4 * MB * 5)
    assert.ok(old / (live + old) >= 0.08 && old / (live + old) <= 0.12, `${old} of ${live + old}`)
  })
})
