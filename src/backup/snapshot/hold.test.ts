import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { areBlobsHeld } from '../../metadata/backup/holds.ts'
import { whileHolding } from './hold.ts'

const MINUTE_MS = 60_000
const { signal } = new AbortController()

eachDatabase('a hold on all blobs', (make) => {
  it('given work that takes long, when it goes on, then the hold is renewed, and released at its end', async () => {
    await using db = await make()
    const clock = manualClock()
    const held = () => areBlobsHeld(db.read, clock.now())
    const done = await whileHolding(
      { db, clock },
      'run',
      async () => {
        for (let minute = 0; minute < 30; minute++) {
          await clock.untilSleeping()
          await clock.advance(MINUTE_MS)
          assert.ok(await held())
        }
        return 'done'
      },
      signal,
    )
    assert.equal(done, 'done')
    assert.ok(!(await held()))
  })

  it('given work that fails or is aborted, when it ends, then the hold is released and its error is thrown', async () => {
    await using db = await make()
    const clock = manualClock()
    const failing = async () => {
      throw new Error('no luck')
    }
    await assert.rejects(whileHolding({ db, clock }, 'run', failing, signal), /no luck/)
    const stop = new AbortController()
    const stopped = whileHolding(
      { db, clock },
      'run',
      async (held) => {
        stop.abort(new Error('cancelled'))
        held.throwIfAborted()
      },
      stop.signal,
    )
    await assert.rejects(stopped, /cancelled/)
    assert.ok(!(await areBlobsHeld(db.read, clock.now())))
  })

  it('given a database that does not answer, when the hold lapses, then the work is aborted', async () => {
    await using db = await make()
    const clock = manualClock()
    let broken = false
    const failing = {
      ...db,
      transact: ((work) => (broken ? Promise.reject(new Error('no answer')) : db.transact(work))) as typeof db.transact,
    }
    const lapsing = whileHolding(
      { db: failing, clock },
      'run',
      async (held) => {
        broken = true
        while (!held.aborted) {
          await clock.untilSleeping()
          await clock.advance(MINUTE_MS)
        }
        held.throwIfAborted()
      },
      signal,
    )
    await assert.rejects(lapsing, /could not be kept from collection/)
  })

  it('given a process that was suspended for longer than its hold, when it goes on and the database answers, then the work is aborted', async () => {
    await using db = await make()
    const clock = manualClock()
    let suspendedMs = 0
    const lapsing = whileHolding(
      { db, clock: { ...clock, now: () => clock.now() + suspendedMs } },
      'run',
      async (held) => {
        await clock.untilSleeping()
        suspendedMs = 11 * MINUTE_MS
        await clock.advance(MINUTE_MS)
        while (!held.aborted && clock.sleeping === 0) await setImmediate()
        held.throwIfAborted()
      },
      signal,
    )
    await assert.rejects(lapsing, /could not be kept from collection/)
  })
})
