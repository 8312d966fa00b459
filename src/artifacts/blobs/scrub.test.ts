import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { type Digest, digestOfBytes } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { countFindings, pageFindings } from '../../metadata/storage/scrub-findings.ts'
import { createMemoryBlobStore } from '../../storage/memory/blob-store.ts'
import { putFiles } from '../nodes/node-writer.ts'
import { createBlobIntake } from './blob-intake.ts'
import { createScrub } from './scrub.ts'

const DAY_MS = 86_400_000
const FIRST_PAGE = { pageNumber: 1, pageSize: 20 }

function scrubbed(db: MetadataDatabase) {
  const services = artifactServices(db)
  const { clock } = services
  const content = new Map<Digest, Buffer>()
  const store = createMemoryBlobStore(content)
  const intake = createBlobIntake({ db, store, clock })
  const alarms: string[] = []
  const onDamage: Parameters<typeof createScrub>[0]['onDamage'] = (_blob, kind) => alarms.push(kind)
  const scrub = createScrub({ db, store, clock, bytesPerSecond: 10, intervalMs: 30 * DAY_MS, onDamage })
  /** As an upload does it. */
  async function bring(text: string, signal: AbortSignal): Promise<Digest> {
    await using staged = await store.receive(streamOf(text), {}, signal)
    await intake.prepare([staged], signal)
    await db.transact((trx) => intake.claim(trx, [staged], signal))
    return staged.digest
  }
  return { ...services, content, scrub, bring, alarms }
}

eachDatabase('scrub', (make) => {
  it('given blobs of which one is wrong and one is gone, when they are scrubbed, then both are found and the wrong one is taken away', async (t) => {
    await using db = await make()
    const { scrub, bring, content, alarms } = scrubbed(db)
    await bring('good', t.signal)
    const damaged = await bring('damaged', t.signal)
    const missing = await bring('missing', t.signal)
    content.set(damaged, Buffer.from('damagXd'))
    content.delete(missing)

    await scrub.request('admin')
    await scrub.work(t.signal)

    const { blobs, bytes, endedAt, ...found } = (await scrub.latest())!
    assert.deepEqual([blobs, bytes, found.damaged, found.missing], [3, 18, 1, 1])
    assert.notEqual(endedAt, null)
    assert.equal(content.has(damaged), false)
    assert.deepEqual(alarms.sort(), ['DAMAGED', 'MISSING'])
    const { records } = await pageFindings(db.read, FIRST_PAGE)
    assert.deepEqual(new Set(records.map(({ digest }) => digest)), new Set([damaged, missing]))
    assert.deepEqual(await countFindings(db.read), { DAMAGED: 1, MISSING: 1 })
  })

  it('given a finding, when somebody sends the bytes again, then they are stored and the finding is healed', async (t) => {
    await using db = await make()
    const { scrub, bring, content } = scrubbed(db)
    const digest = await bring('damaged', t.signal)
    content.set(digest, Buffer.from('x'))
    await scrub.request('admin')
    await scrub.work(t.signal)

    await bring('damaged', t.signal)

    assert.equal(content.get(digest)?.toString(), 'damaged')
    assert.deepEqual(
      (await pageFindings(db.read, FIRST_PAGE)).records.map(({ healed }) => healed),
      [true],
    )
    assert.deepEqual(await countFindings(db.read), { DAMAGED: 0, MISSING: 0 })
  })

  it('given a finding, when it is shown, then it names files that have this content', async (t) => {
    await using db = await make()
    const { scrub, bring, content, ...services } = scrubbed(db)
    const repository = await makeRepository(services)
    const digest = await bring('shared', t.signal)
    const writes = ['/a', '/b'].map((at) => fileWrite(services, at, 'shared'))
    await db.transact((trx) => putFiles(trx, repository, writes, new Map(), services.clock.now()))
    assert.equal(digest, digestOfBytes('shared'))
    content.delete(digest)

    await scrub.request('admin')
    await scrub.work(t.signal)

    const [finding] = (await pageFindings(db.read, FIRST_PAGE)).records
    assert.deepEqual(finding?.files, ['demo/files/a', 'demo/files/b'])
  })

  it('given nobody asked, when its time has not come, then nothing is read; when it has, then it reads at the set rate', async (t) => {
    await using db = await make()
    const { scrub, bring, clock } = scrubbed(db)
    await scrub.work(t.signal)
    await bring('twenty characters ab', t.signal)
    await scrub.work(t.signal)
    assert.equal((await scrub.latest())?.blobs, 0)

    await clock.advance(30 * DAY_MS)
    const startedAt = clock.now()
    const work = scrub.work(t.signal)
    await clock.untilSleeping()
    await clock.advance(2_000)
    await work

    assert.equal((await scrub.latest())?.blobs, 1)
    assert.equal((await scrub.latest())?.endedAt, startedAt + 2_000)
  })

  it('given a pass that was cut short, when it is worked on again, then it goes on where it was saved', async (t) => {
    await using db = await make()
    const { scrub, bring, clock } = scrubbed(db)
    const digests: Digest[] = []
    for (const text of ['one', 'two', 'six']) digests.push(await bring(text.repeat(10), t.signal))
    const [first, second] = digests.sort()
    const cut = new AbortController()
    const work = assert.rejects(scrub.work(cut.signal))
    await clock.untilSleeping()
    await clock.advance(3_000)
    await clock.untilSleeping()
    cut.abort()
    await work
    assert.equal((await scrub.latest())?.position, first)

    await scrub.request('admin')
    await scrub.work(t.signal)

    const run = (await scrub.latest())!
    assert.deepEqual([run.blobs, run.requestedBy], [3, 'admin'])
    assert.ok(second !== undefined && run.endedAt !== null)
  })

  it('given a pass under way, when somebody else asks for one, then it is that one', async () => {
    await using db = await make()
    const { scrub } = scrubbed(db)
    const [one, two] = await Promise.all([scrub.request('ann'), scrub.request('bob')])
    assert.equal(one.id, two.id)
  })

  it('given a promised blob whose file was taken away, when somebody sends its bytes again, then they are stored', async (t) => {
    await using db = await make()
    const { bring, content } = scrubbed(db)
    const digest = await bring('taken', t.signal)
    content.delete(digest)
    await bring('taken', t.signal)
    assert.equal(content.get(digest)?.toString(), 'taken')
  })
})
