import assert from 'node:assert/strict'
import { readdir, utimes } from 'node:fs/promises'
import { it } from 'node:test'
import { SIGNAL } from '../../../../test/helpers/backup-repositories.ts'
import { manualClock } from '../../../../test/helpers/clock.ts'
import { countingIds } from '../../../../test/helpers/ids.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import { isDraftName } from '../../../storage/object-name.ts'
import { type LeaseKind, removeLeases, STALE_MS, takeLease } from './lease.ts'

async function ground() {
  const dir = await tempDir()
  const [location, clock, ids] = [createFsBackupLocation(dir.path), manualClock(), countingIds()]
  const take = (kind: LeaseKind, waitMs = 0) =>
    takeLease(location, { kind, runId: kind, waitMs }, { clock, ids, server: 'a' }, SIGNAL)
  const locks = async () => (await readdir(dir.file('locks'))).filter((name) => !isDraftName(name))
  return { dir, location, clock, ids, take, locks, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}
const fenced = (error: unknown) => hasCode(error, 'FENCED')

it('given leases of both kinds, when others are asked for, then only shared ones go together', async () => {
  await using at = await ground()
  {
    await using first = await at.take('shared')
    await using second = await at.take('shared')
    assert.deepEqual([first.hasOthers, second.hasOthers], [false, true])
    await assert.rejects(at.take('exclusive'), fenced)
    assert.equal((await at.locks()).length, 2)
  }
  {
    await using _ = await at.take('exclusive')
    await assert.rejects(at.take('shared'), fenced)
    await assert.rejects(at.take('exclusive'), fenced)
  }
  assert.deepEqual(await at.locks(), [])
})

it('given a lease of keys, when others are asked for, then only another of keys has to wait', async () => {
  await using at = await ground()
  await using _ = await at.take('keys')
  await assert.rejects(at.take('keys'), /change of keys/)
  {
    await using _shared = await at.take('shared')
  }
  await using _exclusive = await at.take('exclusive')
  await assert.rejects(at.take('keys'), /change of keys/)
})

it('given a lease in the way, when another is asked for, then the words say whose it is, since when, and what to do', async () => {
  await using at = await ground()
  await using _ = await at.take('shared')
  const [lock] = await at.locks()
  const isWhole = (error: unknown) => {
    const { message } = error as Error
    for (const words of [
      /a backup of server \[a\] \(run \[shared\]\) since \d{4}-/,
      /last heard of at \d{4}-/,
      /is dead/,
    ])
      assert.match(message, words)
    return message.includes(`delete locks/${lock}`)
  }
  await assert.rejects(at.take('exclusive'), isWhole)
})

it('given an exclusive lease, when it ends while another waits, then that one has it', async () => {
  await using at = await ground()
  const first = await at.take('exclusive')
  const waiting = at.take('shared', 60_000)
  // The heartbeat of the first, and who waits.
  await at.clock.untilSleeping(2)
  await first[Symbol.asyncDispose]()
  await at.clock.advance(10_000)
  await using second = await waiting
  await second.check(SIGNAL)
})

it('given a lease, when time goes by, then it is renewed; when it is taken away, then its owner is told', async () => {
  await using at = await ground()
  await using lease = await at.take('shared')
  for (let beat = 0; beat < 12; beat++) {
    await at.clock.untilSleeping(1)
    await at.clock.advance(4 * 60_000)
  }
  await at.clock.untilSleeping(1)
  assert.ok(12 * 4 * 60_000 > STALE_MS)
  await lease.check(SIGNAL)
  await removeLeases(at.location, 'shared', 'exclusive', SIGNAL)
  await lease.check(SIGNAL)
  await removeLeases(at.location, 'shared', 'shared', SIGNAL)
  await assert.rejects(lease.check(SIGNAL), fenced)
})

/** A lease whose process was suspended until it was stale, and is about to wake. */
async function suspended(at: Awaited<ReturnType<typeof ground>>, kind: LeaseKind) {
  let slept = 0
  const clock = { ...at.clock, now: () => at.clock.now() + slept }
  const lease = await takeLease(at.location, { kind, runId: 'r', waitMs: 0 }, { ...at, clock, server: 'b' }, SIGNAL)
  await at.clock.untilSleeping(1)
  slept = STALE_MS + 60_000
  const [lock] = await at.locks()
  const long = new Date(Date.UTC(2020, 0, 1))
  await utimes(at.dir.file(`locks/${lock}`), long, long)
  return lease
}

it('given a process that was suspended until its lease was stale, when it wakes beside one that came since, then it has lost it', async () => {
  for (const [kind, other] of [
    ['exclusive', 'shared'],
    ['shared', 'exclusive'],
  ] as const) {
    await using at = await ground()
    const first = await suspended(at, kind)
    await using second = await at.take(other)
    assert.equal(second.hasOthers, true)
    await at.clock.advance(5 * 60_000)
    await assert.rejects(first.check(SIGNAL), fenced)
    await second.check(SIGNAL)
    await first[Symbol.asyncDispose]()
    assert.equal((await at.locks()).length, 1)
  }
})

it('given a suspended process whose lease nobody took, when it wakes, then it does not renew what counts as dead', async () => {
  await using at = await ground()
  await using first = await suspended(at, 'exclusive')
  await at.clock.advance(5 * 60_000)
  await assert.rejects(first.check(SIGNAL), fenced)
  await using second = await at.take('exclusive')
  await second.check(SIGNAL)
})

it('given a stale lease, when a run takes its place and indexes nothing, then something tells the next run to look, and is in nobody’s way', async () => {
  await using at = await ground()
  await using _ = await suspended(at, 'exclusive')
  {
    await using _second = await at.take('shared')
  }
  await using third = await at.take('exclusive')
  assert.equal(third.hasOthers, true)
  await third.removeStale(SIGNAL)
  assert.equal((await at.locks()).length, 1)
})
