import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { claimBlobs, markUnneeded } from '../../metadata/storage/blobs.ts'
import { createMissingBlobs } from './missing-blobs.ts'

const GRACE_MS = 1_000

eachDatabase('which blobs are missing', (make) => {
  it('given blobs that are here, going away and unknown, when asked, then the bits of the last two are 1', async () => {
    await using db = await make()
    const clock = manualClock()
    const blob = (text: string) => ({ digest: digestOf(text), sizeBytes: 1 })
    const texts = Array.from({ length: 11 }, (_, n) => `b${n}`)
    await db.transact((trx) => claimBlobs(trx, texts.map(blob), clock.now()))
    await db.transact((trx) => markUnneeded(trx, [digestOf('b2')], clock.now() + 1))
    const missing = createMissingBlobs({ db, clock, graceMs: GRACE_MS })
    const asked = texts.map((text, n) => digestOf(n === 0 || n === 9 ? `no ${n}` : text))
    assert.deepEqual([...(await missing(asked))], [0b1010_0000, 0b0100_0000])
    assert.deepEqual([...(await missing([]))], [])
  })

  it('given more digests than are looked up at once, when asked, then each has its bit', async () => {
    await using db = await make()
    const clock = manualClock()
    const digests = Array.from({ length: 1_203 }, (_, n) => digestOf(`${n}`))
    const here = digests.filter((_, n) => n % 3 === 0).map((digest) => ({ digest, sizeBytes: 1 }))
    await db.transact((trx) => claimBlobs(trx, here, clock.now()))
    const bits = await createMissingBlobs({ db, clock, graceMs: GRACE_MS })(digests)
    const isMissing = (n: number) => (bits[n >> 3]! & (0x80 >> (n & 7))) !== 0
    assert.deepEqual(
      digests.map((_, n) => isMissing(n)),
      digests.map((_, n) => n % 3 !== 0),
    )
  })

  it('given a blob that was touched lately, when asked for, then its row is not written; later it is, and kept for the grace time', async () => {
    await using db = await make()
    const clock = manualClock()
    const start = clock.now()
    await db.transact((trx) => claimBlobs(trx, [{ digest: digestOf('x'), sizeBytes: 1 }], start))
    const missing = createMissingBlobs({ db, clock, graceMs: GRACE_MS })
    const touchedAt = async () =>
      (await db.read.selectFrom('blob').select('touched_at').executeTakeFirstOrThrow()).touched_at
    await clock.advance(GRACE_MS / 4 - 1)
    await missing([digestOf('x')])
    assert.equal(await touchedAt(), start)
    await clock.advance(1)
    await missing([digestOf('x')])
    assert.equal(await touchedAt(), start + GRACE_MS / 4)
  })
})
