import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { LIMITS } from '../../test/helpers/identity.ts'
import { AppError } from '../core/errors.ts'
import { createLoginThrottle, networkOf, type ThrottleLimits } from './login-throttle.ts'

function world(limits: Partial<ThrottleLimits> = {}) {
  const clock = manualClock()
  const throttle = createLoginThrottle(clock, { ...LIMITS, ...limits })
  const begin = (subject: string, address: string, secret: string) =>
    throttle.begin({ subject, address, fingerprint: `${subject}:${secret}` })
  return {
    clock,
    begin,
    fail: (subject: string, address: string, secret: string) => begin(subject, address, secret).failed(),
    succeed: (subject: string, address: string, secret: string) => begin(subject, address, secret).succeeded(),
    /** Seconds; 0: it may be tried. */
    wait(subject: string, address: string, secret: string): number {
      try {
        begin(subject, address, secret).abandoned()
        return 0
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'TOO_MANY_REQUESTS')
        return error.detail.retryAfterS as number
      }
    },
  }
}

describe('login throttle', () => {
  it('given five wrong passwords for a user from an address, when more come, then each waits twice as long as the one before', async () => {
    const w = world()
    for (let guess = 0; guess < 5; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 1)
    const waits: number[] = []
    for (let guess = 5; guess < 17; guess++) {
      await w.clock.advance(w.wait('ann', '1.1.1.1', 'x') * 1000)
      w.fail('ann', '1.1.1.1', `${guess}`)
      waits.push(w.wait('ann', '1.1.1.1', 'x'))
    }
    assert.deepEqual(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900])
  })

  it('given a user who waits at one address, when the user comes from another or another user from the same, then they may try', () => {
    const w = world()
    for (let guess = 0; guess < 5; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    assert.equal(w.wait('ann', '2.2.2.2', 'right'), 0)
    assert.equal(w.wait('bob', '1.1.1.1', 'right'), 0)
  })

  it('given failures, when a login succeeds, then they are forgotten', () => {
    const w = world()
    for (let guess = 0; guess < 4; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    w.succeed('ann', '1.1.1.1', 'right')
    for (let guess = 0; guess < 4; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 0)
  })

  it('given failures, when none comes for the window, then they are forgotten', async () => {
    const w = world()
    for (let guess = 0; guess < 4; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    await w.clock.advance(LIMITS.windowMs)
    w.fail('ann', '1.1.1.1', 'again')
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 0)
  })

  it('given a job that repeats one wrong password, when it is throttled, then the right one is not, nor anybody behind its address', async () => {
    const w = world({ addressFailures: 3 })
    for (let round = 0; round < 40; round++) {
      await w.clock.advance(w.wait('ci', '1.1.1.1', 'old') * 1000)
      w.fail('ci', '1.1.1.1', 'old')
    }
    assert.equal(w.wait('ci', '1.1.1.1', 'old'), 30)
    assert.equal(w.wait('ci', '1.1.1.1', 'new'), 0)
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 0)
  })

  it('given one address that guesses for many users, when it is over its limit, then it waits and others do not', () => {
    const w = world({ addressFailures: 10 })
    for (let user = 0; user < 10; user++) w.fail(`user${user}`, '1.1.1.1', 'Summer2026')
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 1)
    assert.equal(w.wait('ann', '1.1.1.2', 'right'), 0)
  })

  it('given an address over its limit, when a user comes who logged in there before, then that user need not wait', () => {
    const w = world()
    w.succeed('ann', '1.1.1.1', 'right')
    for (let guess = 0; guess < 100; guess++) w.fail(`user${guess}`, '1.1.1.1', 'guess')
    assert.equal(w.wait('bob', '1.1.1.1', 'right'), 1)
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 0)
    for (let guess = 0; guess < 5; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 1)
  })

  it('given many addresses that guess for one user, when the user logs in, then the usual address is free and a new one waits shortly', async () => {
    const w = world()
    w.succeed('ann', '1.1.1.1', 'right')
    for (let address = 0; address < 80; address++) {
      await w.clock.advance(w.wait('ann', `9.9.9.${address}`, 'guess') * 1000)
      w.fail('ann', `9.9.9.${address}`, `${address}`)
    }
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 0)
    assert.equal(w.wait('ann', '2.2.2.2', 'right'), 30)
    await w.clock.advance(30_000)
    assert.equal(w.wait('ann', '2.2.2.2', 'right'), 0)
  })

  it('given guesses that run at the same time, when there are as many as the limit, then the next has to wait', () => {
    const w = world()
    const running = Array.from({ length: 5 }, (_, guess) => w.begin('ann', '1.1.1.1', `${guess}`))
    assert.equal(w.wait('ann', '1.1.1.1', 'x'), 1)
    assert.equal(w.wait('bob', '1.1.1.1', 'x'), 0)
    for (const attempt of running) attempt.abandoned()
    assert.equal(w.wait('ann', '1.1.1.1', 'x'), 0)
  })

  it('given a flood of names, when a throttled pair is looked at among them, then it still waits', () => {
    const w = world({ addressFailures: 100_000 })
    for (let guess = 0; guess < 5; guess++) w.fail('ann', '1.1.1.1', `${guess}`)
    for (let name = 0; name < 10_000; name++) w.fail(`n${name}`, '3.3.3.3', 'x')
    assert.equal(w.wait('ann', '1.1.1.1', 'right'), 1)
  })

  it('given addresses, when their network is told, then IPv6 counts by its first half and IPv4 whole', () => {
    assert.equal(networkOf('1.2.3.4'), '1.2.3.4')
    assert.equal(networkOf('::ffff:1.2.3.4'), '1.2.3.4')
    assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(networkOf('2001:0db8:0001:0002::9'), '2001:db8:1:2::/64')
    assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
    assert.equal(networkOf('::1'), '0:0:0:0::/64')
    assert.equal(networkOf(''), '')
  })
})
