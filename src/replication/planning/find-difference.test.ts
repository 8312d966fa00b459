import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { deleteFiles, lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { addSums, negated, sumOfRow } from '../../core/fingerprint.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createFingerprints } from '../../metadata/fingerprints/fingerprints.ts'
import { type Divergence, settleDivergences } from '../../metadata/replication/divergences.ts'
import { putPlannedPaths } from '../../metadata/replication/exec-paths.ts'
import { claimShard, createShards, failOpenShards } from '../../metadata/replication/exec-shards.ts'
import { ensureLink, findLink, forgetCursor, saveCursor } from '../../metadata/replication/links.ts'
import type { HelloAnswer } from '../../remotes/cluster/messages.ts'
import { answerRecon } from '../recon/answer.ts'
import { repositoryFingerprints } from '../recon/repository-fingerprints.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { Difference } from './difference.ts'
import { findDifference } from './find-difference.ts'

const never = new AbortController().signal
const HEAD = { epoch: 'of the target', seq: 7, mark: 'm' }

/** Source and target as two repositories of one database. */
async function link(db: MetadataDatabase) {
  const on = artifactServices(db)
  const source = await makeRepository(on, 'demo/source')
  const target = await makeRepository(on, 'demo/target')
  const fingerprints = createFingerprints(db)
  const of = (repository: Repository) => repositoryFingerprints(fingerprints, repository.id)
  const { id } = await db.transact((trx) =>
    ensureLink(trx, {
      ...{ key: 'k', taskKey: 't', clusterId: 'c', repoId: source.id, remoteProject: 'demo', remoteRepo: 'target' },
      scopeHash: 'all',
    }),
  )
  const scope = { repository: source, ranges: [EVERY_PATH], scopeHash: 'all' }
  let questions = 0

  const put = (repository: Repository, files: Readonly<Record<string, string>>) =>
    db.transact(async (trx) => {
      const writes = Object.entries(files).map(([name, content]) => fileWrite(on, name, content))
      const rows = await lockLive(
        trx,
        repository.id,
        writes.map((write) => write.path),
      )
      return putFiles(trx, repository, writes, rows, on.clock.now())
    })
  const remove = (repository: Repository, name: string) =>
    db.transact(async (trx) => {
      const rows = await lockLive(trx, repository.id, [path(name)])
      const deletion = { by: 'a', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
      await deleteFiles(trx, repository, [...rows.values()], deletion)
    })
  return {
    on,
    source,
    target,
    put,
    remove,
    /** What a run leaves that is given up: a range behind its checkpoint, and paths. */
    leave: ({ pos, hi }: { readonly pos: string; readonly hi: string }, paths: string[], ends: string[]) =>
      db.transact(async (trx) => {
        const sizes = { files: 1, bytes: 1 }
        await createShards(trx, 'r', id, [
          { shardNo: 1, kind: 'range', lo: '/', hi, ...sizes },
          { shardNo: 2, kind: 'paths', lo: '/', hi: null, ...sizes },
        ])
        const planned = [
          ...paths.map((name) => ({ path: name, expect: null })),
          ...ends.map((name) => ({ path: name, expect: null, ifGone: 'delete' }) as const),
        ]
        await putPlannedPaths(trx, { recordId: 'r', linkId: id, shardNo: 2 }, planned)
        for (const _ of [1, 2]) await claimShard(trx, 'r', id, { owner: 'o', now: 0, leaseMs: 1 })
        await trx.updateTable('exec_shard').set({ pos }).where('shard_no', '=', 1).execute()
        await failOpenShards(trx, 'r', id)
      }),
    ledger: (...entries: Divergence[]) => db.transact((trx) => settleDivergences(trx, id, [], entries, 0)),
    async deltaAt(name: string) {
      const range = { lo: name, hi: `${name}\u0001` }
      const [[ours], [theirs]] = [await of(source).rows(range, 1), await of(target).rows(range, 1)]
      return addSums(sumOfRow(theirs!), negated(sumOfRow(ours!)))
    },
    async saveCursor() {
      await numberChanges(db)
      const ackedSeq = await headSeq(db.read, source.id)
      const cursor = { repoEpoch: source.epoch, ackedSeq, remote: HEAD }
      await db.transact((trx) => saveCursor(trx, id, 'all', cursor))
    },
    /** @param fingerprints of the source, where a test has others than those of the database. */
    async find({
      pure = false,
      strategy = 'SKIP' as RunSpec['conflictStrategy'],
      fingerprints = of(source),
      compared = 'all',
      propagateDelete = false,
      echoes = new Set<number>(),
      earlierRuns = true,
      mostNamed = 200_000,
    } = {}) {
      const hello = { features: { earlierRuns } } as HelloAnswer
      const ask = (message: Buffer, signal: AbortSignal) => {
        questions++
        return answerRecon(message, of(target), signal)
      }
      const deps = { db, fingerprints, ask, now: on.clock.now(), echoes, mostNamed }
      const spec = { includeMetadata: compared === 'all', conflictStrategy: strategy, propagateDelete } as RunSpec
      const known = (await findLink(db.read, id))!
      return findDifference(deps, known, scope, spec, { hello, head: HEAD, pure }, never)
    },
    /** The link was planned for another scope before. */
    rename: (scopeHash: string) => db.transact((trx) => forgetCursor(trx, id, scopeHash)),
    questions: () => questions,
    fingerprints: of(source),
  }
}
const named = ({ paths }: Difference) => Object.fromEntries(paths.map(({ path: name, expect }) => [name, expect.is]))
const keptPaths = ({ kept }: Difference) => kept.map(({ path: name }) => name)

eachDatabase('finding the difference', (make) => {
  it('given an empty target, when looked for, then everything is missing, after one question', async () => {
    await using db = await make()
    const { source, put, find, questions } = await link(db)
    await put(source, { '/a': '1', '/b': '2', '/c/d': '3' })
    const found = await find()
    assert.equal(found.plan.mode, 'ranges')
    assert.deepEqual(named(found), { '/a': 'absent', '/b': 'absent', '/c/d': 'absent' })
    assert.equal(found.unchanged, 0)
    assert.equal(questions(), 1)
  })

  it('given two sides without a cursor, when looked for, then exactly what differs is named, with what stands there', async () => {
    await using db = await make()
    const { source, target, put, find } = await link(db)
    await put(source, { '/same': 'x', '/other': 'ours', '/missing': 'x' })
    await put(target, { '/same': 'x', '/other': 'theirs', '/foreign': 'x' })
    const found = await find()
    assert.deepEqual(named(found), { '/missing': 'absent', '/other': 'row' })
    assert.equal(found.unchanged, 1)
    assert.deepEqual(
      found.ledger.found.map(({ path: name, reason }) => [name, reason]),
      [['/foreign', 'foreign']],
    )
  })

  it('given foreign rows in the ledger, when looked for again, then nothing differs; when one goes, it leaves the ledger', async () => {
    await using db = await make()
    const { source, target, put, remove, find, ledger, questions } = await link(db)
    await put(source, { '/a': 'x' })
    await put(target, { '/a': 'x', '/f1': 'x', '/f2': 'x' })
    await ledger(...(await find()).ledger.found)
    const before = questions()
    const again = await find()
    assert.deepEqual([named(again), again.ledger.looked, again.unchanged], [{}, [], 1])
    assert.equal(questions() - before, 1)
    await remove(target, '/f1')
    const last = await find()
    assert.deepEqual([last.ledger.looked, last.ledger.found], [['/f1'], []])
  })

  it('given a valid cursor, when looked for, then the target is asked nothing, and what changed since is named', async () => {
    await using db = await make()
    const { source, put, find, saveCursor, questions } = await link(db)
    await put(source, { '/a': '1', '/b': '2' })
    await saveCursor()
    assert.deepEqual(named(await find({ pure: true })), {})
    await put(source, { '/b': '3', '/c': '4' })
    const found = await find({ pure: true })
    assert.equal(found.plan.mode, 'cursor')
    assert.deepEqual(named(found), { '/b': 'unknown', '/c': 'absent' })
    assert.equal(found.unchanged, 1)
    assert.equal(questions(), 0)
  })

  it('given a target that others changed, when looked for, then the cursor does not count', async () => {
    await using db = await make()
    const { source, target, put, find, saveCursor } = await link(db)
    await put(source, { '/a': '1', '/b': '2' })
    await put(target, { '/a': '1', '/b': '2' })
    await saveCursor()
    await put(target, { '/b': 'theirs' })
    const found = await find({ pure: false })
    assert.deepEqual(named(found), { '/b': 'row' })
    assert.equal(found.unchanged, 1)
  })

  it('given places that a run left unsettled, when looked for by ranges or by cursor, then what stands there is named though it is equal, if the target can tell', async () => {
    await using db = await make()
    const { source, target, put, find, saveCursor, leave, remove } = await link(db)
    const all = { '/a': '1', '/b': '2', '/c': '3', '/d': '4', '/ended': '5' }
    await put(source, all)
    await put(target, all)
    for (const repository of [source, target]) await remove(repository, '/ended')
    await leave({ pos: '/b', hi: '/d' }, ['/d', '/gone'], ['/ended'])
    const compared = await find({ propagateDelete: true })
    assert.deepEqual(named(compared), { '/c': 'unknown', '/d': 'unknown' })
    assert.deepEqual([compared.deletions.map(({ path: name }) => name), compared.deletes.deletions], [['/ended'], 0])
    assert.equal(compared.unchanged, 2)
    assert.deepEqual(named(await find({ earlierRuns: false })), {})
    await saveCursor()
    const byCursor = await find({ pure: true })
    assert.deepEqual([byCursor.plan.mode, named(byCursor)], ['cursor', { '/c': 'unknown', '/d': 'unknown' }])
  })

  for (const way of ['cursor', 'ranges'] as const) {
    it(`given a conflict that was kept, when looked for by ${way}, then it is known to be kept; with another strategy it is looked at`, async () => {
      await using db = await make()
      const { source, target, put, find, ledger, deltaAt, saveCursor } = await link(db)
      await put(source, { '/same': 'x', '/kept': 'ours' })
      await put(target, { '/same': 'x', '/kept': 'theirs' })
      await ledger({ path: '/kept', reason: 'conflict', delta: await deltaAt('/kept') })
      await saveCursor()
      const pure = way === 'cursor'
      const found = await find({ pure })
      assert.equal(found.plan.mode, way)
      assert.deepEqual([named(found), keptPaths(found), found.unchanged], [{}, ['/kept'], 1])
      const again = await find({ pure, strategy: 'OVERWRITE' })
      assert.deepEqual([Object.keys(named(again)), keptPaths(again)], [['/kept'], []])
    })

    it(`given a conflict that was kept, when our side changes, then it is looked at again by ${way}`, async () => {
      await using db = await make()
      const { source, target, put, find, ledger, deltaAt, saveCursor } = await link(db)
      await put(source, { '/kept': 'ours' })
      await put(target, { '/kept': 'theirs' })
      await ledger({ path: '/kept', reason: 'conflict', delta: await deltaAt('/kept') })
      await saveCursor()
      await put(source, { '/kept': 'ours again' })
      const found = await find({ pure: way === 'cursor' })
      assert.deepEqual([Object.keys(named(found)), keptPaths(found)], [['/kept'], []])
    })
  }

  it('given a file that failed, when looked for by cursor, then it is named again; by ranges, once it is equal, it leaves the ledger', async () => {
    await using db = await make()
    const { source, target, put, find, ledger, saveCursor } = await link(db)
    await put(source, { '/a': '1', '/b': '2' })
    await ledger({ path: '/a', reason: 'failed', delta: undefined })
    await saveCursor()
    assert.deepEqual(named(await find({ pure: true })), { '/a': 'unknown' })
    await put(target, { '/a': '1', '/b': '2' })
    const found = await find()
    assert.deepEqual([named(found), found.ledger.looked], [{}, ['/a']])
  })

  it('given a change of nothing but the expiry, and a target that others changed, when looked for, then it is named all the same', async () => {
    await using db = await make()
    const { on, source, target, put, find, saveCursor } = await link(db)
    await put(source, { '/e': 'x', '/k': 'x' })
    await put(target, { '/e': 'x', '/k': 'x' })
    await saveCursor()
    await db.transact(async (trx) => {
      const rows = await lockLive(trx, source.id, [path('/e')])
      const again = fileWrite(on, '/e', 'x', { expiresAt: on.clock.now() + 1_000_000 })
      await putFiles(trx, source, [again], rows, on.clock.now())
    })
    await put(target, { '/k': 'theirs' })
    const found = await find()
    assert.deepEqual([named(found), found.unchanged], [{ '/e': 'unknown', '/k': 'row' }, 0])
  })

  it('given a missing range that grows while it is read, when looked for, then nothing of it is left out', async () => {
    await using db = await make()
    const { source, put, find, fingerprints } = await link(db)
    const some = (from: number, to: number) =>
      Object.fromEntries(Array.from({ length: to - from }, (_, n) => [`/f${String(from + n).padStart(5, '0')}`, 'x']))
    await put(source, some(100, 600))
    await put(source, some(600, 1_090))
    const growing = {
      ...fingerprints,
      async rows(...asked: Parameters<typeof fingerprints.rows>) {
        await put(source, some(0, 50))
        return fingerprints.rows(...asked)
      },
    }
    const found = await find({ fingerprints: growing })
    assert.equal(found.unchanged, 0)
    assert.equal(found.ranges.length, 1)
    assert.deepEqual(named(found), {})
  })

  it('given a conflict in metadata alone, when metadata is not compared any more, then it is no conflict', async () => {
    await using db = await make()
    const { source, target, put, find, ledger, saveCursor } = await link(db)
    await put(source, { '/m': 'x' })
    await put(target, { '/m': 'x' })
    const none = [0n, 0n, 0n, 0n] as const
    await ledger({ path: '/m', reason: 'conflict', delta: { rows: 0, content: none, metadata: [1n, 0n, 0n, 0n] } })
    await saveCursor()
    const found = await find({ pure: true, compared: 'content' })
    assert.deepEqual([named(found), keptPaths(found)], [{ '/m': 'unknown' }, []])
  })

  it('given a file that expired, when looked for, then it is neither sent nor counted', async () => {
    await using db = await make()
    const { on, source, find } = await link(db)
    await db.transact(async (trx) => {
      const expiring = fileWrite(on, '/e', 'x', { expiresAt: on.clock.now() + 1_000 })
      await putFiles(trx, source, [expiring, fileWrite(on, '/k')], new Map(), on.clock.now())
    })
    await on.clock.advance(1_000)
    const found = await find()
    assert.deepEqual([named(found), found.unchanged], [{ '/k': 'absent' }, 0])
  })
})

eachDatabase('finding deletions', (make) => {
  const ended = ({ deletions }: Difference) => deletions.map(({ path: name }) => name)
  const DELETES = { propagateDelete: true }

  it('given a valid cursor, when files came and went since, then both sides are compared, and what a run left there meanwhile is named', async () => {
    await using db = await make()
    const { source, target, put, remove, find, saveCursor } = await link(db)
    for (const side of [source, target]) await put(side, { '/stays': '1' })
    await saveCursor()
    await put(source, { '/short': '2', '/shorter': '3' })
    await put(target, { '/short': '2' })
    for (const name of ['/short', '/shorter']) await remove(source, name)
    const found = await find({ pure: true, ...DELETES })
    assert.deepEqual([found.plan.mode, ended(found), found.unchanged], ['ranges', ['/short'], 1])
    assert.equal((await find({ pure: true })).plan.mode, 'cursor')
  })

  it('given more files at the target alone than are named, when looked for, then those that ended here are found among them, and the cursor stays', async () => {
    await using db = await make()
    const { source, target, put, remove, find } = await link(db)
    const foreign = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`/foreign/${n}`, `${n}`]))
    await put(target, { ...foreign, '/ended': '1', '/z/ended': '2', '/back': '3' })
    await put(source, { '/ended': '1', '/z/ended': '2', '/back': '3', '/never there': '4' })
    for (const name of ['/ended', '/z/ended', '/back', '/never there']) await remove(source, name)
    await put(source, { '/back': '3' })
    const found = await find({ ...DELETES, mostNamed: 20 })
    assert.deepEqual(found.ranges, [EVERY_PATH], 'it is offered the whole scope')
    assert.deepEqual([found.plan.mode, ended(found)], ['ranges', ['/ended', '/z/ended']])
    assert.equal(found.deletes.deletions, 2)
    assert.equal((await find({ ...DELETES, mostNamed: 3 })).plan.mode, 'offer')
  })

  it('given a valid cursor, when files ended since, then those that were there before are named, and no others', async () => {
    await using db = await make()
    const { source, put, remove, find, saveCursor, ledger } = await link(db)
    await put(source, { '/a': '1', '/b': '2', '/back': '3', '/failed': '4' })
    await remove(source, '/failed')
    await saveCursor()
    await ledger({ path: '/failed', reason: 'failed', delta: undefined })
    await put(source, { '/new': '6' })
    for (const name of ['/a', '/back']) await remove(source, name)
    await put(source, { '/back': '7' })
    const found = await find({ pure: true, ...DELETES })
    assert.deepEqual(ended(found), ['/a', '/failed'])
    assert.deepEqual(found.deletes, { deletions: 2, targetFiles: 3 })
    assert.deepEqual(named(found), { '/back': 'unknown', '/new': 'absent' })
    assert.deepEqual([found.unchanged, found.files], [1, 4])
    assert.deepEqual(ended(await find({ pure: true })), [])
  })

  it('given files at the target alone, when compared, then those that ended here are named, and the others are foreign', async () => {
    await using db = await make()
    const { source, target, put, remove, find } = await link(db)
    await put(source, { '/ended': '1', '/both': '2' })
    await put(target, { '/ended': '1', '/both': '2', '/theirs': '3' })
    await remove(source, '/ended')
    const found = await find(DELETES)
    assert.deepEqual(ended(found), ['/ended'])
    assert.deepEqual(found.deletes, { deletions: 1, targetFiles: 3 })
    assert.deepEqual([found.unchanged, found.files], [1, 1])
    assert.deepEqual(
      found.ledger.found.map(({ path: name }) => name),
      ['/theirs'],
    )
    assert.deepEqual(
      (await find()).ledger.found.map(({ path: name }) => name),
      ['/ended', '/theirs'],
    )
  })

  it('given files whose own time was over, when they were swept, then they are named, and the guard does not count them', async () => {
    await using db = await make()
    const { on, source, remove, find, saveCursor } = await link(db)
    await db.transact(async (trx) => {
      const expiring = fileWrite(on, '/e', 'x', { expiresAt: on.clock.now() + 1_000 })
      await putFiles(trx, source, [expiring, fileWrite(on, '/k')], new Map(), on.clock.now())
    })
    await saveCursor()
    await on.clock.advance(1_000)
    assert.deepEqual(ended(await find({ pure: true, ...DELETES })), [])
    await remove(source, '/e')
    const found = await find({ pure: true, ...DELETES })
    assert.deepEqual([ended(found), found.deletes.deletions], [['/e'], 0])
  })

  it('given what the target itself changed and deleted, when it comes back by a cursor, then it is not sent there', async () => {
    await using db = await make()
    const { on, source, find, saveCursor } = await link(db)
    const theirs = { viaLink: 7, origin: 3 }
    const write = (name: string, more: Partial<ReturnType<typeof fileWrite>>) =>
      db.transact((trx) => putFiles(trx, source, [fileWrite(on, name, name, more)], new Map(), on.clock.now()))
    await write('/gone', {})
    await saveCursor()
    await write('/came', theirs)
    await write('/other', { ...theirs, viaLink: 8 })
    await db.transact(async (trx) => {
      const rows = await lockLive(trx, source.id, [path('/gone')])
      await deleteFiles(trx, source, [...rows.values()], { by: 'a', at: 1, hlc: on.hlc.next(), ...theirs })
    })
    const found = await find({ pure: true, ...DELETES, echoes: new Set([7]) })
    assert.deepEqual([named(found), ended(found)], [{ '/other': 'absent' }, []])
    assert.deepEqual(found.ledger.looked, ['/came'])
  })

  it('given a ledger of another scope, when compared, then what was foreign is looked at once more', async () => {
    await using db = await make()
    const { source, target, put, remove, find, ledger, rename } = await link(db)
    await put(source, { '/ended': '1' })
    await put(target, { '/ended': '1' })
    await remove(source, '/ended')
    const [known] = (await find()).ledger.found
    await ledger(known!)
    assert.deepEqual(ended(await find(DELETES)), [])
    await rename('another scope')
    assert.deepEqual(ended(await find(DELETES)), ['/ended'])
  })
})
