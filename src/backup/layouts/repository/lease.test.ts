import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { SIGNAL } from '../../../../test/helpers/backup-repositories.ts'
import { manualClock } from '../../../../test/helpers/clock.ts'
import { countingIds } from '../../../../test/helpers/ids.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import { type LeaseKind, removeLeases, STALE_MS, takeLease } from './lease.ts'

async function ground() {
  const dir = await tempDir()
  const [location, clock, ids] = [createFsBackupLocation(dir.path), manualClock(), countingIds()]
  const take = (kind: LeaseKind, waitMs = 0) =>
    takeLease(location, { kind, runId: kind, waitMs }, { clock, ids, server: 'a' }, SIGNAL)
  const locks = () => readdir(dir.file('locks'))
  return { dir, location, clock, take, locks, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
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
