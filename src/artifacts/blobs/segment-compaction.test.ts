import assert from 'node:assert/strict'
import { open, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { digestOf, textOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { GRACE_MS, type PackedSite, packedSite } from '../../../test/helpers/packed-site.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'
import type { SegmentCompactionDeps } from './segment-compaction.ts'

const signal = new AbortController().signal
const die = (): never => {
  throw new Error('the process died')
}
const isDead = /the process died/
const texts = (count: number, name = 'text'): string[] =>
  Array.from({ length: count }, (_, at) => `${name} ${at} `.padEnd(60, '.'))

eachDatabase('segment compaction', (make) => {
  /** Fills two segments, seals the first, and lets `dead` of its first ten go. */
  async function filled(site: PackedSite, dead: number): Promise<{ readonly live: string[]; readonly old: number }> {
    const all = texts(10)
    for (const text of all) await site.upload(text)
    const old = (await site.placeOf(all[0]!))!.segment
    await site.upload('in the next segment')
    await site.remove(...all.slice(0, dead))
    await site.later()
    await site.collect()
    await site.later()
    return { live: all.slice(dead), old }
  }
  const SEGMENT = 10 * (44 + 60)

  it('given a sealed segment that is mostly dead, when compacted, then what is alive has moved, and its file goes after the grace time', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live, old } = await filled(site, 7)
    const report = await site.compaction().run(signal)
    assert.deepEqual(report, { examined: 1, retired: 1, movedBlobs: 3, removed: 0, freedBytes: 0 })
    await site.assertWhole(...live, 'in the next segment')
    await site.clock.advance(GRACE_MS)
    assert.equal((await site.compaction().run(signal)).removed, 0)
    assert.ok((await site.segmentNumbers()).includes(old))
    await site.clock.advance(1)
    const { removed, freedBytes } = await site.compaction().run(signal)
    assert.deepEqual({ removed, freedBytes }, { removed: 1, freedBytes: SEGMENT })
    assert.ok(!(await site.segmentNumbers()).includes(old))
    assert.equal((await site.compaction().run(signal)).removed, 0)
    await site.assertWhole(...live, 'in the next segment')
  })

  it('given a copy of the metadata, when compactions run before the blobs are copied, then all is there that it names', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live } = await filled(site, 7)
    const copied = await site.db.read.selectFrom('blob').selectAll().where('segment', 'is not', null).execute()
    await site.compaction().run(signal)
    await site.clock.advance(GRACE_MS)
    // Of the next process.
    await site.compaction().run(signal)
    await site.db.transact(async (trx) => {
      for (const { sha256, segment, place } of copied) {
        await trx.updateTable('blob').set({ segment, place }).where('sha256', '=', sha256).execute()
      }
    })
    await site.assertWhole(...live, 'in the next segment')
  })

  it('given a segment that is wholly dead, when compacted, then it is just removed', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { old } = await filled(site, 10)
    const store = { ...site.store, putMany: () => assert.fail('something was copied') }
    assert.equal((await site.compaction({ store }).run(signal)).retired, 1)
    await site.later()
    assert.equal((await site.compaction({ store }).run(signal)).removed, 1)
    assert.ok(!(await site.segmentNumbers()).includes(old))
  })

  it('given a segment that is mostly alive, or sealed just now, when compacted, then it stays', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live, old } = await filled(site, 4)
    assert.equal((await site.compaction().run(signal)).retired, 0)
    await site.remove(...live)
    await site.collect()
    assert.equal((await site.compaction({ graceMs: 10 * GRACE_MS }).run(signal)).examined, 0)
    assert.ok((await site.segmentNumbers()).includes(old))
  })

  for (const [line, dying] of Object.entries<(site: PackedSite) => Partial<SegmentCompactionDeps>>({
    'the segment is marked': ({ store }) => ({ store: { ...store, readMany: async () => die() } }),
    'the live blobs are copied': ({ store }) => ({
      store: {
        ...store,
        async putMany(...asked) {
          await store.putMany(...asked)
          return die()
        },
      },
    }),
    'the rows have moved and the segment is forgotten': ({ store }) => ({
      store: { ...store, removeSegment: async () => die() },
    }),
  })) {
    it(`given a compaction that dies when ${line}, when others follow, then nothing is lost and the file goes`, async () => {
      await using site = await packedSite(make, SEGMENT)
      const { live, old } = await filled(site, 8)
      const runs = async () => {
        await site.compaction(dying(site)).run(signal)
        await site.later()
        await site.compaction(dying(site)).run(signal)
      }
      await assert.rejects(runs(), isDead)
      await site.assertWhole(...live, 'in the next segment')
      const next = site.compaction()
      for (let turn = 1; turn <= 3; turn++) {
        await next.run(signal)
        await site.later()
      }
      await site.assertWhole(...live, 'in the next segment')
      assert.ok(!(await site.segmentNumbers()).includes(old))
    })
  }

  it('given two processes, when both compact at once while blobs come and go, then nothing is lost', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live } = await filled(site, 8)
    await using other = await site.openStore('two')
    const [again] = live
    await Promise.all([
      site.compaction().run(signal),
      site.compaction({ store: other }).run(signal),
      site.upload(...texts(5, 'new')),
      site.upload(again!),
    ])
    await site.assertWhole(...live, ...texts(5, 'new'), 'in the next segment')
  })

  it('given contents packed long ago, when their segment is given up before the claim, then the claim is refused and packing again helps', async () => {
    await using site = await packedSite(make, SEGMENT)
    const packed = await site.intake.pack(site.contents(['late']), signal)
    await filled(site, 9)
    await site.compaction().run(signal)
    await assert.rejects(site.commit(packed, ['late']), /takes no blobs any more/)
    await site.upload('late')
    await site.assertWhole('late')
  })

  it('given a live blob with wrong bytes, when its segment is compacted, then it is withdrawn, the others move and the file goes', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live, old } = await filled(site, 8)
    const [wrong, good] = live
    await site.spoil(wrong!)
    assert.equal((await site.compaction().run(signal)).retired, 1)
    assert.deepEqual(site.alarms, ['DAMAGED'])
    await site.later()
    await site.compaction().run(signal)
    assert.ok(!(await site.segmentNumbers()).includes(old))
    await site.assertWhole(good!)
    assert.equal((await knownBlobs(site.db.read, [digestOf(wrong!)])).size, 0)
    await site.upload(wrong!)
    await site.assertWhole(wrong!)
  })

  it('given a live blob of whose record only the header is wrong, when its segment is compacted, then it moves like the others', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live } = await filled(site, 8)
    const { offset } = (await site.placeOf(live[0]!))!
    {
      await using file = await open(await site.pathOf(live[0]!), 'r+')
      await file.write('?', offset - 4)
    }
    const { retired, movedBlobs } = await site.compaction().run(signal)
    assert.deepEqual({ retired, movedBlobs }, { retired: 1, movedBlobs: 2 })
    assert.deepEqual(site.alarms, [])
    await site.assertWhole(...live)
  })

  it('given an open segment that the database has lost, when a compaction copies there, then the next one copies to another', async () => {
    await using site = await packedSite(make, SEGMENT)
    const { live } = await filled(site, 8)
    await site.loseOpenSegment()
    await assert.rejects(site.compaction().run(signal), /takes no blobs any more/)
    assert.equal((await site.compaction().run(signal)).movedBlobs, 2)
    await site.assertWhole(...live)
  })

  it('given segments that have been open for a week, when compactions run, then they are sealed, and an owner that lives goes on with another', async () => {
    await using site = await packedSite(make, SEGMENT)
    await using gone = await site.openStore('gone')
    const [content] = site.contents(['of one that never came back'])
    const [place] = await gone.putMany([content!], signal)
    await site.upload('alive')
    const before = (await site.placeOf('alive'))!.segment
    await site.clock.advance(7 * 86_400_000)
    await site.compaction().run(signal)
    assert.equal((await site.db.read.selectFrom('segment').select('id').execute()).length, 2)
    await site.clock.advance(1)
    await site.compaction().run(signal)
    const rows = await site.db.read.selectFrom('segment').select(['id', 'state']).execute()
    assert.deepEqual(
      rows.map(({ id, state }) => [id, state]),
      [[before, 'sealed']],
    )
    assert.notEqual(place!.segment, before)
    await site.upload('later')
    assert.notEqual((await site.placeOf('later'))!.segment, before)
    await site.assertWhole('alive', 'later')
  })

  it('given a file that no row knows, when swept, then it goes after the grace time from its discovery', async () => {
    await using site = await packedSite(make)
    await site.upload('known')
    await writeFile(site.dir.file('.segments', 'one', '4711'), 'a stray')
    const compaction = site.compaction()
    assert.equal((await compaction.run(signal)).removed, 0)
    await site.clock.advance(GRACE_MS - 1)
    assert.equal((await compaction.run(signal)).removed, 0)
    await site.clock.advance(1)
    assert.deepEqual(await compaction.run(signal), {
      ...{ examined: 0, retired: 0, movedBlobs: 0 },
      ...{ removed: 1, freedBytes: 7 },
    })
    assert.equal((await site.segmentNumbers()).length, 1)
    await site.assertWhole('known')
  })

  it('given a download under way, when its segment is compacted, then it gets all its bytes', async () => {
    await using site = await packedSite(make, SEGMENT)
    const large = 'x'.repeat(300_000)
    await site.upload(large)
    await site.upload('next')
    const stream = await site.store.open(digestOf(large), undefined, signal)
    await site.remove(large)
    await site.later()
    await site.collect()
    await site.later()
    await site.compaction().run(signal)
    await site.later()
    assert.equal((await site.compaction().run(signal)).removed, 1)
    assert.equal(await textOf(stream), large)
  })

  it('given uploads, deletions, collections and compactions of several processes at once, when all have ended, then every live file is whole', async () => {
    await using site = await packedSite(make, SEGMENT)
    await using other = await site.openStore('two')
    const all = texts(24, 'mixed')
    const live = new Set<string>()
    /** Each works on texts of its own, and all of them on the same segments. */
    const user = async (mine: readonly string[]) => {
      for (let turn = 0; turn < 6; turn++) {
        const some = mine.filter((_, at) => (at + turn) % 3 !== 0)
        await site.upload(...some)
        for (const text of some) live.add(text)
        const gone = some.filter((_, at) => (at + turn) % 2 === 0)
        for (const text of gone) live.delete(text)
        await site.remove(...gone)
        await site.later()
      }
    }
    const chores = async (compaction: ReturnType<typeof site.compaction>) => {
      for (let turn = 0; turn < 12; turn++) {
        await site.collect()
        await compaction.run(signal)
      }
    }
    await Promise.all([
      user(all.slice(0, 8)),
      user(all.slice(8, 16)),
      user(all.slice(16)),
      chores(site.compaction()),
      chores(site.compaction({ store: other })),
    ])
    assert.deepEqual(site.alarms, [])
    await site.assertWhole(...live)
  })
})
