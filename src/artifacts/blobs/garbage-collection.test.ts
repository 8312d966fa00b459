import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import { type ArtifactServices, artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { digestOf, streamOf, textOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase, type MakeDatabase, makePostgres, skipReason } from '../../../test/helpers/databases.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import type { Digest } from '../../core/digest.ts'
import { normalisePath } from '../../core/paths.ts'
import { holdBlobs, releaseHold } from '../../metadata/backup/holds.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { purgeNodes } from '../../metadata/nodes/deleted-nodes.ts'
import { findNode } from '../../metadata/nodes/nodes.ts'
import { openDatabase } from '../../metadata/open-database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { knownBlobs, lockUnneeded, markUnneeded, rowsAmong, touchBlobs } from '../../metadata/storage/blobs.ts'
import { createSegmentIndex } from '../../metadata/storage/segment-index.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { openFsBlobStore } from '../../storage/fs/blob-store.ts'
import { deleteFiles, lockLive, putFiles } from '../nodes/node-writer.ts'
import { createBlobIntake } from './blob-intake.ts'
import { collectGarbage, purgeDeletedNodes } from './garbage-collection.ts'

const GRACE_MS = 60_000
const signal = new AbortController().signal
const isDead = /the process died/
const die = () => {
  throw new Error('the process died')
}

/** Steps of an upload at which it can be stopped; the last three lie in its transaction. */
const STEPS = ['staged', 'prepared', 'locked', 'claimed', 'written'] as const
type Step = (typeof STEPS)[number]
type Pause = (step: Step) => void | Promise<void>

/** One process: repository, blob store and all that writes to them. */
interface Site extends ArtifactServices, AsyncDisposable {
  readonly repository: Repository
  readonly store: BlobStore
  upload(path: string, text: string, pause?: Pause): Promise<void>
  remove(path: string): Promise<void>
  collect(store?: BlobStore): ReturnType<typeof collectGarbage>
}

async function makeSite(make: MakeDatabase): Promise<Site> {
  const db = await make()
  const dir = await tempDir()
  const services = artifactServices(db)
  const repository = await makeRepository(services)
  const store = await openFsBlobStore({ root: dir.path, owner: 'one', index: createSegmentIndex(services) })
  return {
    ...services,
    repository,
    store,
    upload: (path, text, pause) => upload({ ...services, repository, store }, db, path, text, pause),
    async remove(path) {
      const { clock, hlc } = services
      await db.transact(async (trx) => {
        const rows = await lockLive(trx, repository.id, [normalisePath(path)])
        const deletion = { by: 'alice', at: clock.now(), hlc: hlc.next(), origin: 0, viaLink: null }
        await deleteFiles(trx, repository, [...rows.values()], deletion)
      })
    },
    collect: (other = store) => collectGarbage({ db, store: other, clock: services.clock, graceMs: GRACE_MS }, signal),
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** As every use case does it: stage, prepare, and in one transaction lock nodes, claim the blob, write the node. */
async function upload(
  { repository, store, ...on }: Pick<Site, 'repository' | 'store' | 'clock' | 'hlc'>,
  db: MetadataDatabase,
  path: string,
  text: string,
  pause: Pause = () => {},
): Promise<void> {
  const intake = createBlobIntake({ db, store, clock: on.clock })
  await using staged = await store.receive(streamOf(text), {}, signal)
  await pause('staged')
  await intake.prepare([staged], signal)
  await pause('prepared')
  await db.transact(async (trx) => {
    const write = fileWrite(on, path, text)
    const current = await lockLive(trx, repository.id, [write.path])
    await pause('locked')
    await intake.claim(trx, [staged], signal)
    await pause('claimed')
    await putFiles(trx, repository, [write], current, on.clock.now())
    await pause('written')
  })
}

/** Stops at one step until the test lets it go on. */
function pauseAt(wanted: Step) {
  const [reached, resumed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const pause: Pause = (step) => {
    if (step !== wanted) return undefined
    reached.resolve()
    return resumed.promise
  }
  return { pause, reached: reached.promise, resume: resumed.resolve }
}

async function assertWhole({ db, store, repository, clock }: Site, path: string, text: string): Promise<void> {
  const node = await findNode(db.read, repository.id, normalisePath(path), clock.now())
  assert.equal(node?.digest, digestOf(text))
  assert.deepEqual(await knownBlobs(db.read, [digestOf(text)]), new Set([digestOf(text)]))
  assert.equal(await textOf(await store.open(digestOf(text), undefined, signal)), text)
}
/** Until another transaction waits for a lock; SQLite's queue of writers cannot be looked into, a good many turns have to do. */
async function untilWaiting(db: MetadataDatabase): Promise<void> {
  const waiting = async () =>
    db.dialect === 'postgres' &&
    (
      await sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
        db.read,
      )
    ).rows.length > 0
  for (let turn = 0; turn < (db.dialect === 'postgres' ? 5_000 : 200); turn++) {
    if (await waiting()) return
    await setImmediate()
  }
}
const filesOf = async ({ store }: Site): Promise<Digest[]> =>
  (await Array.fromAsync(store.list(signal))).map(({ digest }) => digest)
async function assertGone(site: Site, text: string): Promise<void> {
  assert.equal(await site.store.find(digestOf(text), signal), undefined)
  assert.equal((await rowsAmong(site.db.read, [digestOf(text)])).size, 0)
}

/** What the database and the disk know of the bytes before somebody uploads them. */
const PASTS: Readonly<Record<string, (site: Site) => Promise<void>>> = {
  'unknown before': async () => {},
  'known and no longer referred to': async (site) => {
    await site.upload('/old', 'bytes')
    await site.remove('/old')
    await purgeDeletedNodes(site, site.clock.now() + 1, signal)
  },
  'whose collection died before it removed the file': async (site) => {
    await PASTS['known and no longer referred to']!(site)
    await site.clock.advance(GRACE_MS + 1)
    await assert.rejects(site.collect({ ...site.store, delete: die }), isDead)
  },
  'whose collection died after it removed the file': async (site) => {
    await PASTS['known and no longer referred to']!(site)
    await site.clock.advance(GRACE_MS + 1)
    const thenDie: BlobStore['delete'] = async (digest) => {
      await site.store.delete(digest, signal)
      die()
    }
    await assert.rejects(site.collect({ ...site.store, delete: thenDie }), isDead)
  },
  'whose upload died after it placed the file': async (site) => {
    await assert.rejects(
      site.upload('/old', 'bytes', (step) => (step === 'prepared' ? die() : undefined)),
      isDead,
    )
  },
  'whose upload died in its transaction': async (site) => {
    await assert.rejects(
      site.upload('/old', 'bytes', (step) => (step === 'written' ? die() : undefined)),
      isDead,
    )
  },
}

eachDatabase('garbage collection', (make) => {
  for (const [past, prepare] of Object.entries(PASTS)) {
    for (const step of STEPS) {
      it(`given bytes ${past}, when collections run while their upload is ${step}, then the upload ends whole`, async () => {
        await using site = await makeSite(make)
        await prepare(site)
        const { pause, reached, resume } = pauseAt(step)
        const uploading = site.upload('/new', 'bytes', pause)
        await reached
        await site.clock.advance(GRACE_MS + 1)
        const collecting = (async () => {
          await site.collect()
          await site.clock.advance(GRACE_MS + 1)
          await site.collect()
        })()
        // In its transaction the upload holds what the collection may wait for.
        if (step === 'staged' || step === 'prepared') await collecting
        resume()
        await Promise.all([uploading, collecting])
        await assertWhole(site, '/new', 'bytes')
        await site.clock.advance(GRACE_MS + 1)
        await site.collect()
        await assertWhole(site, '/new', 'bytes')
      })
    }

    it(`given bytes ${past}, when two uploads of them race with collections, then both end whole with one file`, async () => {
      await using site = await makeSite(make)
      await prepare(site)
      await site.clock.advance(GRACE_MS + 1)
      await Promise.all([
        site.upload('/one', 'bytes'),
        site.collect(),
        site.upload('/two', 'bytes'),
        site.collect(),
        site.collect(),
      ])
      await assertWhole(site, '/one', 'bytes')
      await assertWhole(site, '/two', 'bytes')
      assert.deepEqual(await filesOf(site), [digestOf('bytes')])
    })

    it(`given bytes ${past}, when nobody uploads them, then they are gone after the grace time`, async () => {
      await using site = await makeSite(make)
      await prepare(site)
      await site.collect()
      await site.clock.advance(GRACE_MS + 1)
      await site.collect()
      await assertGone(site, 'bytes')
      assert.deepEqual(await filesOf(site), [])
    })
  }

  it('given a hold on all blobs, when collected, then nothing is marked or removed until it is released or lapses', async () => {
    await using site = await makeSite(make)
    const { db, clock } = site
    await site.upload('/purged', 'purged')
    await site.remove('/purged')
    await site.upload('/marked', 'marked')
    await site.remove('/marked')
    await purgeDeletedNodes(site, clock.now() + 1, signal)
    await clock.advance(GRACE_MS + 1)
    await db.transact((trx) => markUnneeded(trx, [digestOf('marked')], clock.now()))
    await db.transact((trx) => holdBlobs(trx, 'backup', clock.now() + 10 * GRACE_MS))
    await clock.advance(GRACE_MS + 1)
    assert.equal((await site.collect()).deletedBlobs, 0)
    assert.deepEqual(await knownBlobs(db.read, [digestOf('purged')]), new Set([digestOf('purged')]))
    assert.ok((await site.store.find(digestOf('marked'), signal)) !== undefined)
    await db.transact((trx) => releaseHold(trx, 'backup'))
    await db.transact((trx) => holdBlobs(trx, 'dead', clock.now() + 1))
    await clock.advance(GRACE_MS + 1)
    assert.equal((await site.collect()).deletedBlobs, 2)
  })

  it('given a node that is live or only soft-deleted, when collected after any time, then its blob stays', async () => {
    await using site = await makeSite(make)
    await site.upload('/live', 'live')
    await site.upload('/deleted', 'deleted')
    await site.remove('/deleted')
    await site.clock.advance(100 * GRACE_MS)
    const report = await site.collect()
    assert.deepEqual(report, { examined: 2, deletedBlobs: 0, freedBytes: 0, orphans: 0 })
    assert.equal((await filesOf(site)).length, 2)
  })

  it('given a blob that got a node since it was found unreferenced, when marked by a clock that is ahead, then it is spared', async () => {
    await using site = await makeSite(make)
    await site.upload('/file', 'bytes')
    const unneeded = await site.db.transact(async (trx) => {
      await markUnneeded(trx, [digestOf('bytes')], site.clock.now() + GRACE_MS)
      return lockUnneeded(trx, 'file', site.clock.now() + GRACE_MS, 10)
    })
    assert.deepEqual(unneeded, [])
    await assertWhole(site, '/file', 'bytes')
  })

  it('given a purged node, when collected, then its blob goes after the grace time from the purge, and not before', async () => {
    await using site = await makeSite(make)
    await site.upload('/file', 'bytes')
    await site.upload('/other', 'others')
    await site.remove('/file')
    await site.clock.advance(100 * GRACE_MS)
    assert.equal(await purgeDeletedNodes(site, site.clock.now(), signal), 1)
    await site.clock.advance(GRACE_MS)
    assert.equal((await site.collect()).deletedBlobs, 0)
    await site.clock.advance(1)
    const report = await site.collect()
    assert.deepEqual(report, { examined: 2, deletedBlobs: 1, freedBytes: 5, orphans: 0 })
    await assertGone(site, 'bytes')
    await assertWhole(site, '/other', 'others')
  })

  it('given nodes deleted before and after the time, when purged, then only the earlier ones go and folders with them', async () => {
    await using site = await makeSite(make)
    await site.upload('/a/early', 'early')
    await site.upload('/late', 'late')
    await site.remove('/a/early')
    await site.clock.advance(1_000)
    await site.remove('/late')
    assert.equal(await purgeDeletedNodes(site, site.clock.now(), signal), 1)
    assert.equal(await purgeDeletedNodes(site, site.clock.now(), signal), 0)
    const left = await site.db.read.selectFrom('node').select('path').where('deleted_at', 'is not', null).execute()
    assert.deepEqual(
      left.map(({ path }) => path),
      ['/late'],
    )
  })

  it('given more deleted nodes than one slice, when purged slice by slice, then the oldest go first and all go', async () => {
    await using site = await makeSite(make)
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await site.upload(`/${name}`, name)
      await site.remove(`/${name}`)
      await site.clock.advance(1)
    }
    const now = site.clock.now()
    const slice = () => site.db.transact((trx) => purgeNodes(trx, now, 2, now))
    assert.equal(await slice(), 2)
    const left = await site.db.read.selectFrom('node').select('path').orderBy('path').execute()
    assert.deepEqual(
      left.map(({ path }) => path),
      ['/c', '/d', '/e'],
    )
    assert.deepEqual([await slice(), await slice(), await slice()], [2, 1, 0])
  })

  it('given a file overwritten, when the old content is purged, then its blob goes and the new one stays', async () => {
    await using site = await makeSite(make)
    await site.upload('/file', 'old')
    await site.upload('/file', 'new')
    await site.clock.advance(1)
    await purgeDeletedNodes(site, site.clock.now(), signal)
    await site.clock.advance(GRACE_MS + 1)
    assert.equal((await site.collect()).deletedBlobs, 1)
    await assertGone(site, 'old')
    await assertWhole(site, '/file', 'new')
  })

  it('given a blob that somebody was told of, when collected within the grace time from then, then it stays', async () => {
    await using site = await makeSite(make)
    await PASTS['known and no longer referred to']!(site)
    await site.clock.advance(GRACE_MS - 1)
    const told = await site.db.transact((trx) => touchBlobs(trx, [digestOf('bytes')], site.clock.now()))
    assert.deepEqual([...told.keys()], [digestOf('bytes')])
    await site.clock.advance(GRACE_MS)
    await site.collect()
    assert.deepEqual(await filesOf(site), [digestOf('bytes')])
    await site.clock.advance(1)
    await site.collect()
    await assertGone(site, 'bytes')
  })

  it('given files that nobody knows, when collected, then they are reported once and removed after the grace time', async () => {
    await using site = await makeSite(make)
    for (const text of ['one', 'two']) {
      await using staged = await site.store.receive(streamOf(text), {}, signal)
      await staged.publish(signal)
    }
    assert.deepEqual(await site.collect(), { examined: 0, deletedBlobs: 0, freedBytes: 0, orphans: 2 })
    await site.clock.advance(GRACE_MS)
    assert.deepEqual(await site.collect(), { examined: 0, deletedBlobs: 0, freedBytes: 0, orphans: 0 })
    await site.clock.advance(1)
    assert.deepEqual(await site.collect(), { examined: 0, deletedBlobs: 2, freedBytes: 6, orphans: 0 })
    assert.deepEqual(await filesOf(site), [])
  })

  it('given more garbage than one slice, when two collections run at once, then each blob is removed once', async () => {
    await using site = await makeSite(make)
    const texts = Array.from({ length: 120 }, (_, number) => `text ${number}`)
    for (const text of texts) {
      await using staged = await site.store.receive(streamOf(text), {}, signal)
      await staged.publish(signal)
    }
    await site.collect()
    await site.clock.advance(GRACE_MS + 1)
    const reports = await Promise.all([site.collect(), site.collect()])
    assert.equal(reports[0]!.deletedBlobs + reports[1]!.deletedBlobs, 120)
    assert.deepEqual(await filesOf(site), [])
  })

  it('given an aborted signal, when collected, then it stops and says why', async () => {
    await using site = await makeSite(make)
    const deps = { db: site.db, store: site.store, clock: site.clock, graceMs: GRACE_MS }
    await assert.rejects(collectGarbage(deps, AbortSignal.abort(new Error('stopping'))), /stopping/)
  })

  it('given a collection that is removing a file, when the same bytes are uploaded, then the upload waits and brings them', async () => {
    await using site = await makeSite(make)
    await PASTS['known and no longer referred to']!(site)
    const early = pauseAt('prepared')
    const uploading = site.upload('/new', 'bytes', early.pause)
    await early.reached
    await site.clock.advance(GRACE_MS + 1)
    const [held, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const slow: BlobStore['delete'] = async (digest) => {
      held.resolve()
      await goOn.promise
      await site.store.delete(digest, signal)
    }
    const collecting = site.collect({ ...site.store, delete: slow })
    await held.promise
    early.resume()
    await Promise.race([uploading, untilWaiting(site.db)])
    goOn.resolve()
    await Promise.all([collecting, uploading])
    await assertWhole(site, '/new', 'bytes')
  })

  it('given an upload that relies on a file, when a collection removes that and dies before its commit, then the upload brings it', async () => {
    await using site = await makeSite(make)
    await PASTS['known and no longer referred to']!(site)
    const { pause, reached, resume } = pauseAt('prepared')
    const uploading = site.upload('/new', 'bytes', pause)
    await reached
    await PASTS['whose collection died after it removed the file']!(site)
    assert.deepEqual(await filesOf(site), [])
    resume()
    await uploading
    await assertWhole(site, '/new', 'bytes')
  })

  it('given one pack with the same bytes twice, when prepared and claimed, then there is one row and one file', async () => {
    await using site = await makeSite(make)
    const intake = createBlobIntake({ db: site.db, store: site.store, clock: site.clock })
    await using one = await site.store.receive(streamOf('bytes'), {}, signal)
    await using two = await site.store.receive(streamOf('bytes'), {}, signal)
    await intake.prepare([one, two], signal)
    await site.db.transact((trx) => intake.claim(trx, [one, two], signal))
    assert.deepEqual(await filesOf(site), [digestOf('bytes')])
    assert.equal((await knownBlobs(site.db.read, [digestOf('bytes')])).size, 1)
  })

  it('given bytes that are known, when uploaded again, then their file is not placed a second time', async () => {
    await using site = await makeSite(make)
    await site.upload('/one', 'bytes')
    const intake = createBlobIntake({ db: site.db, store: site.store, clock: site.clock })
    await site.clock.advance(1)
    await using staged = await site.store.receive(streamOf('bytes'), {}, signal)
    const watched = { ...staged, publish: async () => assert.fail('placed again') }
    await intake.prepare([watched], signal)
    await site.db.transact((trx) => intake.claim(trx, [watched], signal))
  })
})

describe('garbage collection beside another process [postgres]', { skip: skipReason() }, () => {
  it('given a blob that another process claims just now, when collected, then the collection passes it by without waiting', async () => {
    let url: Awaited<ReturnType<typeof makePostgres>>['config'] | undefined
    await using site = await makeSite(async () => {
      const made = await makePostgres()
      url = made.config
      return made
    })
    await PASTS['known and no longer referred to']!(site)
    await using other = await openDatabase(url!)
    const { pause, reached, resume } = pauseAt('claimed')
    await site.clock.advance(GRACE_MS + 1)
    const uploading = upload(site, other, '/new', 'bytes', pause)
    await reached
    const report = await site.collect()
    assert.equal(report.deletedBlobs, 0)
    resume()
    await uploading
    await assertWhole(site, '/new', 'bytes')
  })
})
