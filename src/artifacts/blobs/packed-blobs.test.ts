import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { digestOf, textOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { packedSite } from '../../../test/helpers/packed-site.ts'
import { digestHex } from '../../core/digest.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { createBlobIntake } from './blob-intake.ts'

const signal = new AbortController().signal
const die = (): never => {
  throw new Error('the process died')
}
const isDead = /the process died/

eachDatabase('packed blobs', (make) => {
  it('given small contents, when packed and claimed, then their nodes have them; a rollback leaves nothing that is promised', async () => {
    await using site = await packedSite(make)
    await site.upload('one', 'two', '')
    await site.assertWhole('one', 'two', '')
    const packed = await site.intake.pack(site.contents(['rolled back']), signal)
    const failing = site.db.transact(async (trx) => {
      await site.intake.claimPacked(trx, packed)
      die()
    })
    await assert.rejects(failing, isDead)
    assert.equal((await knownBlobs(site.db.read, [digestOf('rolled back')])).size, 0)
    await site.db.transact((trx) => site.intake.claimPacked(trx, packed))
    await site.assertWhole('rolled back')
  })

  it('given bytes that are here already, when packed, then they are not written again, packed or in a file', async () => {
    await using site = await packedSite(make)
    await site.upload('packed')
    await site.uploadAlone('alone')
    await site.clock.advance(1)
    const write: BlobStore['putMany'] = async (contents) => {
      assert.deepEqual(contents, [])
      return []
    }
    const intake = createBlobIntake({ ...site, store: { ...site.store, putMany: write } })
    const packed = await intake.pack(site.contents(['packed', 'alone']), signal)
    await site.db.transact((trx) => intake.claimPacked(trx, packed))
    await site.assertWhole('packed', 'alone')
  })

  it('given bytes that were here when packed, when a collection removes them before the claim, then the claim brings them back', async () => {
    await using site = await packedSite(make)
    await site.upload('packed')
    await site.uploadAlone('alone')
    const packed = await site.intake.pack(site.contents(['packed', 'alone']), signal)
    await site.remove('packed')
    await site.later()
    assert.equal((await site.collect()).deletedBlobs, 2)
    await site.commit(packed, ['packed', 'alone'])
    await site.assertWhole('packed', 'alone')
    await site.collect()
    await site.assertWhole('packed', 'alone')
  })

  it('given a packed blob that is being collected, when it is packed again, then it has its new place', async () => {
    await using site = await packedSite(make)
    await site.upload('bytes')
    const old = await site.placeOf('bytes')
    await site.remove('bytes')
    await site.later()
    await site.db.transact((trx) => trx.updateTable('blob').set({ unneeded_since: site.clock.now() }).execute())
    await site.upload('bytes')
    assert.notDeepEqual(await site.placeOf('bytes'), old)
    await site.later()
    await site.collect()
    await site.assertWhole('bytes')
  })

  it('given a promised blob whose segment is gone, when its bytes come again either way, then they are readable again', async () => {
    for (const way of ['upload', 'uploadAlone'] as const) {
      await using site = await packedSite(make)
      await site.upload('first', 'second')
      await site.store[Symbol.asyncDispose]()
      await rm(await site.pathOf('first'))
      await site.clock.advance(1)
      await site[way]('first')
      await site.assertWhole('first')
      assert.equal(await site.placeOf('first'), undefined)
      assert.equal(await site.store.find(digestOf('second'), signal), undefined)
    }
  })

  it('given a marked row whose own file is wrong, when the bytes are packed, then no reader finds the wrong file', async () => {
    await using site = await packedSite(make)
    await site.uploadAlone('bytes')
    await rm(site.ownFile(digestOf('bytes')))
    await writeFile(site.ownFile(digestOf('bytes')), 'WRONG')
    await site.db.transact((trx) => trx.updateTable('blob').set({ unneeded_since: 1 }).execute())
    await site.clock.advance(1)
    await site.upload('bytes')
    await site.assertWhole('bytes')
    await assert.rejects(readFile(site.ownFile(digestOf('bytes'))), /ENOENT/)
  })

  it('given an open segment that the database has lost, when more comes, then one packing is refused and the next is in', async () => {
    await using site = await packedSite(make)
    await site.upload('before')
    await site.loseOpenSegment()
    const packed = await site.intake.pack(site.contents(['after']), signal)
    await assert.rejects(site.commit(packed, ['after']), isGivenUp)
    await site.commit(await site.intake.pack(site.contents(['after']), signal), ['after'])
    await site.assertWhole('after')
  })

  it('given an open segment that the database has lost, when its number is given to another owner, then nobody takes the one for the other', async () => {
    await using site = await packedSite(make)
    await site.upload('before')
    const { segment } = (await site.placeOf('before'))!
    await site.loseOpenSegment()
    await site.db.transact((trx) =>
      trx
        .insertInto('segment')
        .values({ id: segment, owner: 'two', state: 'open', bytes: 0, live_bytes: 0, begun_at: 1 })
        .execute(),
    )
    const packed = await site.intake.pack(site.contents(['after']), signal)
    await assert.rejects(site.commit(packed, ['after']), isGivenUp)
    await site.commit(await site.intake.pack(site.contents(['after']), signal), ['after'])
    await using other = await site.openStore('three')
    for (const store of [site.store, other]) {
      assert.equal(await textOf(await store.open(digestOf('after'), undefined, signal)), 'after')
    }
    const rows = await site.db.read.selectFrom('segment').select(['owner', 'state']).orderBy('owner').execute()
    assert.deepEqual(
      rows.map(({ owner, state }) => `${owner} ${state}`),
      ['one open', 'two open'],
    )
  })

  it('given packed garbage, when collected, then its rows go, its bytes stay until compaction, and orphans are none', async () => {
    await using site = await packedSite(make)
    await site.upload('live', 'dead')
    await site.remove('dead')
    await site.later()
    const report = await site.collect()
    assert.deepEqual(report, { examined: 2, deletedBlobs: 1, freedBytes: 4, orphans: 0 })
    await site.assertWhole('live')
    assert.equal(await site.store.find(digestOf('dead'), signal), undefined)
  })

  it('given a packed blob with wrong bytes, when scrubbed, then it is found, kept aside, and healed by whoever sends it again', async () => {
    await using site = await packedSite(make)
    await site.upload('bytes', 'good')
    await site.spoil('bytes')
    await site.scrub.request('admin')
    await site.scrub.work(signal)
    assert.deepEqual(site.alarms, ['DAMAGED'])
    assert.equal((await readFile(site.dir.file('.quarantine', digestHex(digestOf('bytes'))))).toString(), 'WRONG')
    assert.equal(await site.store.find(digestOf('bytes'), signal), undefined)
    await site.clock.advance(1)
    await site.upload('bytes')
    await site.assertWhole('bytes', 'good')
  })
})
