import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  type ArtifactServices,
  artifactServices,
  fileWrite,
  makeRepository,
  path,
} from '../../../test/helpers/artifacts.ts'
import { eachDatabase, type MakeDatabase } from '../../../test/helpers/databases.ts'
import { seededRandom } from '../../../test/helpers/ids.ts'
import { whileWorking, workOnce } from '../../../test/helpers/tree-worker.ts'
import { digestFromBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { makeHlc } from '../../core/hlc.ts'
import { contentLanes, metadataLanes } from '../../core/lanes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { claimBlobs, deleteBlobRows } from '../../metadata/storage/blobs.ts'
import { type FileWrite, lockLive, putFiles } from '../nodes/node-writer.ts'
import { settle } from '../nodes/settle.ts'
import type { TransferOrder } from './trees.ts'

const NEVER = new AbortController().signal

async function put(on: ArtifactServices, repository: Repository, ...writes: FileWrite[]) {
  return on.db.transact(async (trx) => {
    const paths = writes.map((write) => write.path)
    const current = await lockLive(trx, repository.id, paths)
    await claimBlobs(trx, writes, on.clock.now())
    return putFiles(trx, repository, writes, current, on.clock.now())
  })
}
const files = (on: ArtifactServices, count: number, top = '/top') =>
  Array.from({ length: count }, (_, at) => fileWrite(on, `${top}/d${at % 5}/f${at}`, `x${at}`))

const liveRows = ({ db }: ArtifactServices, repository: Repository) =>
  db.read
    .selectFrom('node')
    .selectAll()
    .where('repo_id', '=', repository.id)
    .where('deleted_at', 'is', null)
    .orderBy('path')
    .execute()
const livePaths = async (on: ArtifactServices, repository: Repository) =>
  (await liveRows(on, repository)).map((row) => row.path)
const liveFiles = async (on: ArtifactServices, repository: Repository) =>
  (await liveRows(on, repository)).flatMap((row) => (row.folder === 1 ? [] : [row.path]))
const logOf = ({ db }: ArtifactServices, repository: Repository) =>
  db.read.selectFrom('change_log').selectAll().where('repo_id', '=', repository.id).orderBy('id').execute()

/** Lanes fit the paths, sums of the log equal the sums of the rows, and every node has its parent. */
async function assertSound(on: ArtifactServices, ...repositories: Repository[]): Promise<void> {
  for (const repository of repositories) {
    const rows = await liveRows(on, repository)
    const log = await logOf(on, repository)
    const folders = new Set(rows.flatMap((row) => (row.folder === 1 ? [row.path] : ['/'])))
    assert.deepEqual(
      rows.filter((row) => row.parent !== '/' && !folders.has(row.parent)).map((row) => row.path),
      [],
      'orphans',
    )
    const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
    const lived = rows.filter((row) => row.folder === 0)
    assert.equal(sum(log.map(({ dn }) => dn)), lived.length, 'dn')
    for (const at of ['0', '1', '2', '3'] as const) {
      assert.equal(sum(log.map((row) => row[`d${at}`])), sum(lived.map((row) => row[`c${at}`])), `d${at}`)
      assert.equal(sum(log.map((row) => row[`e${at}`])), sum(lived.map((row) => row[`m${at}`])), `e${at}`)
    }
  }
}

interface Bench extends AsyncDisposable {
  readonly on: ArtifactServices
  readonly a: Repository
  readonly b: Repository
}
async function bench(make: MakeDatabase, rowsPerSlice = 250): Promise<Bench> {
  const db = await make()
  const on = artifactServices(db, { rowsPerSlice })
  const a = await makeRepository(on, 'demo/aa')
  const b = await makeRepository(on, 'demo/bb')
  return { on, a, b, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}

type Ends = readonly [Repository, string]
const transfer = (
  on: ArtifactServices,
  kind: 'copy' | 'move',
  [fromRepo, from]: Ends,
  [toRepo, to]: Ends,
  overwrite: TransferOrder['overwrite'] = 'refuse',
) =>
  on.trees.transfer(
    { kind, from: { repository: fromRepo, path: path(from) }, to: { repository: toRepo, path: path(to) }, overwrite },
    'carol',
    NEVER,
  )
const operationsOf = ({ db }: ArtifactServices) => db.read.selectFrom('tree_operation').selectAll().execute()

eachDatabase('trees', (make) => {
  it('given a small folder, when deleted, then it goes in one transaction and leaves tombstones, and siblings stay', async () => {
    await using bed = await bench(make)
    const { on, a } = bed
    const ahead = makeHlc(0xffff_ffff_ff, 0)
    await put(on, a, ...files(on, 57), fileWrite(on, '/top/newest', 'y', { hlc: ahead }))
    await put(on, a, fileWrite(on, '/top2/a'), fileWrite(on, '/top.txt'), fileWrite(on, '/top-x/b'))
    const gone = await on.trees.delete(a, path('/top'), 'bob', NEVER)
    const bytes = files(on, 57).reduce((sum, { sizeBytes }) => sum + sizeBytes, 1)
    assert.deepEqual(gone, { nodes: 64, bytes, at: on.clock.now() })
    assert.deepEqual(await livePaths(on, a), ['/top-x', '/top-x/b', '/top.txt', '/top2', '/top2/a'])
    const deletions = (await logOf(on, a)).filter(({ op }) => op === 2)
    assert.deepEqual([deletions.length, new Set(deletions.map((row) => row.path)).size], [58, 58])
    const newest = await on.db.read.selectFrom('tombstone').selectAll().where('path', '=', '/top/newest').execute()
    assert.ok(newest[0]!.hlc > ahead, 'the deletion is later than what it deleted')
    assert.deepEqual(await operationsOf(on), [])
    await assertSound(on, a)
  })

  it('given a folder of many slices, when deleted, then an operation does it and the call tells all that went', async () => {
    await using bed = await bench(make, 10)
    const { on, a } = bed
    await put(on, a, ...files(on, 57), fileWrite(on, '/stays'))
    const gone = await whileWorking(on, on.trees.delete(a, path('/top'), 'bob', NEVER))
    assert.deepEqual([gone.nodes, await livePaths(on, a)], [63, ['/stays']])
    const [operation] = await operationsOf(on)
    assert.deepEqual([operation?.state, operation?.files, operation?.folders], ['DONE', 57, 6])
    const times = new Set((await on.trees.listDeleted(a, path('/top'))).map((node) => node.deletedAt))
    assert.deepEqual([...times], [gone.at])
    await assertSound(on, a)
    assert.deepEqual(await on.db.read.selectFrom('job').selectAll().execute(), [])
  })

  it('given the root, a missing path or an expired file, when deleted, then it is refused', async () => {
    await using bed = await bench(make)
    const { on, a } = bed
    await put(on, a, fileWrite(on, '/e', 'e', { expiresAt: on.clock.now() }))
    await assert.rejects(on.trees.delete(a, path('/'), 'bob', NEVER), (e) => hasCode(e, 'PARAMETER_INVALID'))
    for (const absent of ['/nothing', '/e']) {
      await assert.rejects(on.trees.delete(a, path(absent), 'bob', NEVER), (e) => hasCode(e, 'NODE_NOT_FOUND'))
    }
  })

  it('given a file with metadata, expiry and md5, when copied and moved, then all of it travels, the author by a move only', async () => {
    await using bed = await bench(make)
    const { on, a, b } = bed
    const metadata = [
      { key: 'k', value: 1 },
      { key: 'forbidStatus', value: true, system: true },
    ]
    const expiresAt = on.clock.now() + 60_000
    const write = fileWrite(on, '/f', 'content', { metadata, md5: 'ab', expiresAt, viaLink: 7, viaMark: 4, origin: 3 })
    await put(on, a, write)
    const madeAt = on.clock.now()
    await on.clock.advance(1_000)
    assert.deepEqual(await transfer(on, 'copy', [a, '/f'], [b, '/x/copy']), {
      path: '/x/copy',
      files: 1,
      folders: 0,
      bytes: 7,
    })
    await transfer(on, 'move', [a, '/f'], [b, '/x/moved'])
    const copied = await on.nodes.get(b, path('/x/copy'))
    const moved = await on.nodes.get(b, path('/x/moved'))
    for (const node of [copied, moved]) {
      assert.deepEqual(
        [node.digest, node.sizeBytes, node.md5, node.expiresAt, node.metadata, node.origin, node.viaLink, node.viaMark],
        [write.digest, 7, 'ab', expiresAt, metadata, 0, null, null],
      )
      assert.deepEqual([node.modifiedBy, node.modifiedAt], ['carol', on.clock.now()])
      assert.deepEqual(node.contentLanes, contentLanes(node.path, write.digest, 7))
      assert.deepEqual(node.metadataLanes, metadataLanes(node.path, metadata))
      assert.ok(node.hlc > write.hlc)
    }
    assert.deepEqual([copied.createdBy, copied.createdAt], ['carol', on.clock.now()])
    assert.deepEqual([moved.createdBy, moved.createdAt], ['alice', madeAt])
    assert.deepEqual(await livePaths(on, a), [])
    assert.deepEqual(
      (await logOf(on, a)).map(({ op, dn, path: at }) => [op, dn, at]),
      [
        [1, 1, '/f'],
        [2, -1, '/f'],
      ],
    )
    const tombstones = await on.db.read.selectFrom('tombstone').select('path').execute()
    assert.deepEqual(
      tombstones.map((row) => row.path),
      ['/f'],
    )
    await assertSound(on, a, b)
  })

  for (const rows of [250, 7]) {
    for (const kind of ['copy', 'move'] as const) {
      it(`given a tree, when it is to ${kind} in slices of ${rows}, then every node is there, empty folders and metadata, too`, async () => {
        await using bed = await bench(make, rows)
        const { on, a, b } = bed
        await put(on, a, ...files(on, 40), fileWrite(on, '/top/gone', 'g', { expiresAt: on.clock.now() }))
        await on.nodes.makeFolder(a, path('/top/empty/deep'), 'alice')
        await on.nodes.saveMetadata(a, path('/top/empty'), [{ key: 'k', value: 1 }], 'alice')
        const before = (await livePaths(on, a)).filter((at) => at !== '/top/gone')
        const done = await whileWorking(on, transfer(on, kind, [a, '/top'], [b, '/new/name']))
        assert.deepEqual([done.path, done.files, done.folders], ['/new/name', 40, 8])
        const expected = ['/new', ...before.map((at) => at.replace('/top', '/new/name'))]
        assert.deepEqual(await livePaths(on, b), expected)
        assert.deepEqual((await on.nodes.get(b, path('/new/name/empty'))).metadata, [{ key: 'k', value: 1 }])
        const left = kind === 'copy' ? [...before, '/top/gone'].sort() : []
        assert.deepEqual(await livePaths(on, a), left)
        assert.equal((await operationsOf(on)).length, rows === 250 ? 0 : 1)
        await assertSound(on, a, b)
      })
    }
  }

  it('given a folder and an existing folder, when moved there, then it goes inside and merges with what is there', async () => {
    await using bed = await bench(make)
    const { on, a } = bed
    await put(on, a, fileWrite(on, '/d/x/one'), fileWrite(on, '/to/d/x/two'), fileWrite(on, '/d/y'))
    assert.equal((await transfer(on, 'move', [a, '/d'], [a, '/to'])).path, '/to/d')
    assert.deepEqual(await liveFiles(on, a), ['/to/d/x/one', '/to/d/x/two', '/to/d/y'])
    await assertSound(on, a)
  })

  it('given acceptance 15.11, when a folder goes into itself, a file over a folder or a folder over a file, then 251013 and nothing changes', async () => {
    await using bed = await bench(make)
    const { on, a, b } = bed
    await put(
      on,
      a,
      fileWrite(on, '/d/x/f'),
      fileWrite(on, '/file'),
      fileWrite(on, '/t/d'),
      fileWrite(on, '/t/file/in'),
    )
    const before = await livePaths(on, a)
    const refused: readonly (readonly [string, string])[] = [
      ['/d', '/d/x'],
      ['/d', '/d/x/new'],
      ['/d', '/file'],
      ['/d', '/file/below'],
      ['/file', '/file/below'],
      ['/file', '/t'], // `/t/file` is a folder
      ['/d', '/t'], // `/t/d` is a file
      ['/t/d', '/file'], // without overwrite
    ]
    for (const kind of ['copy', 'move'] as const) {
      for (const [from, to] of refused) {
        await assert.rejects(
          transfer(on, kind, [a, from], [a, to]),
          (error) => hasCode(error, 'NODE_CONFLICT'),
          `${kind} ${from} ${to}`,
        )
      }
      for (const same of ['/d', '/']) {
        assert.deepEqual((await transfer(on, kind, [a, '/d'], [a, same])).files, 0)
      }
      await assert.rejects(transfer(on, kind, [a, '/no'], [b, '/x']), (error) => hasCode(error, 'NODE_NOT_FOUND'))
    }
    assert.deepEqual(await livePaths(on, a), before)
    await assertSound(on, a)
  })

  it('given an existing file, when moved onto with overwrite, then it is replaced and its old version is a restore point', async () => {
    await using bed = await bench(make)
    const { on, a } = bed
    await put(on, a, fileWrite(on, '/new', 'new'), fileWrite(on, '/old', 'old'))
    await transfer(on, 'move', [a, '/new'], [a, '/old'], 'replace')
    assert.deepEqual(await livePaths(on, a), ['/old'])
    assert.equal((await on.nodes.get(a, path('/old'))).sizeBytes, 3)
    const versions = await on.trees.listDeleted(a, path('/old'))
    assert.deepEqual(
      versions.map((node) => [node.path, node.digest, node.deletedBy]),
      [['/old', fileWrite(on, '/old', 'old').digest, 'carol']],
    )
    await assertSound(on, a)
  })

  it('given a conflict in a large tree, when copied, then the first error stops it and finished slices stay', async () => {
    await using bed = await bench(make, 10)
    const { on, a, b } = bed
    await put(on, a, ...files(on, 40))
    await put(on, b, fileWrite(on, '/to/top/d2/f22', 'theirs'))
    for (const kind of ['copy', 'move'] as const) {
      await assert.rejects(
        whileWorking(on, transfer(on, kind, [a, '/top'], [b, '/to'])),
        (error) => hasCode(error, 'NODE_CONFLICT') && error.message.includes('/to/top/d'),
      )
      await assertSound(on, a, b)
    }
    const done = (await liveFiles(on, b)).map((at) => at.replace('/to', ''))
    assert.ok(done.length > 10 && done.length < 40, `${done.length} files`)
    const states = (await operationsOf(on)).map(({ state, error }) => [state, JSON.parse(error!).code])
    assert.deepEqual(states, [
      ['FAILED', 'NODE_CONFLICT'],
      ['FAILED', 'NODE_CONFLICT'],
    ])
    await whileWorking(on, transfer(on, 'move', [a, '/top'], [b, '/to'], 'replace'))
    assert.deepEqual([(await liveFiles(on, b)).length, await livePaths(on, a)], [40, []])
    await assertSound(on, a, b)
  })

  it('given a file whose content is lost, when copied, then CONTENT_MISSING and nothing is written; it can be moved', async () => {
    await using bed = await bench(make)
    const { on, a, b } = bed
    const lost = fileWrite(on, '/d/lost')
    await put(on, a, fileWrite(on, '/d/whole'), lost)
    await on.db.transact((trx) => deleteBlobRows(trx, [lost.digest]))
    await assert.rejects(
      transfer(on, 'copy', [a, '/d'], [b, '/d']),
      (error) => hasCode(error, 'CONTENT_MISSING') && error.message.includes('/d/lost'),
    )
    assert.deepEqual(await livePaths(on, b), [])
    await transfer(on, 'move', [a, '/d'], [b, '/d'])
    assert.deepEqual(await liveFiles(on, b), ['/d/lost', '/d/whole'])
    await assertSound(on, a, b)
  })

  it('given a source repository that is deleted during a copy or move, when a worker goes on, then REPOSITORY_NOT_FOUND', async () => {
    for (const kind of ['copy', 'move'] as const) {
      await using bed = await bench(make, 10)
      const { on, a, b } = bed
      await put(on, a, ...files(on, 40))
      const call = transfer(on, kind, [a, '/top'], [b, '/to'])
      await on.clock.untilSleeping()
      await on.repositories.delete('demo', a.name, 'with-content', 'bob')
      await on.retirement.run(NEVER)
      await assert.rejects(whileWorking(on, call), (error) => hasCode(error, 'REPOSITORY_NOT_FOUND'))
      assert.deepEqual(
        (await operationsOf(on)).map(({ state }) => state),
        ['FAILED'],
      )
    }
  })

  it('given copies of folders with metadata to one place at once, when it is new or there, then all merge and the last one counts', async () => {
    for (const place of ['new', 'there'] as const) {
      await using bed = await bench(make)
      const { on, a, b } = bed
      const sources = Array.from({ length: 6 }, (_, at) => `/p${at}/s`)
      for (const [at, source] of sources.entries()) {
        await put(on, a, fileWrite(on, `${source}/f${at}`))
        await on.nodes.saveMetadata(a, path(source), [{ key: 'k', value: at }], 'alice')
      }
      await on.nodes.makeFolder(b, path(place === 'new' ? '/t' : '/t/s'), 'alice')
      await Promise.all(sources.map((source) => transfer(on, 'copy', [a, source], [b, '/t'], 'replace')))
      assert.deepEqual(
        await liveFiles(on, b),
        sources.map((_, at) => `/t/s/f${at}`),
      )
      const { metadata } = await on.nodes.get(b, path('/t/s'))
      assert.deepEqual([metadata.length, metadata[0]?.key], [1, 'k'])
      await assertSound(on, a, b)
    }
  })

  it('given rename, when the new name is taken or the node is missing, then 251012 and 251010; else it has the new name', async () => {
    await using bed = await bench(make)
    const { on, a } = bed
    await put(on, a, fileWrite(on, '/d/x'), fileWrite(on, '/taken'))
    const rename = (from: string, to: string) => on.trees.rename(a, path(from), path(to), 'carol', NEVER)
    for (const taken of ['/taken', '/d', '/']) {
      await assert.rejects(rename('/d', taken), (error) => hasCode(error, 'NODE_EXISTED'), taken)
    }
    await assert.rejects(rename('/none', '/x'), (error) => hasCode(error, 'NODE_NOT_FOUND'))
    await assert.rejects(rename('/d', '/d/e'), (error) => hasCode(error, 'NODE_CONFLICT'))
    await assert.rejects(rename('/', '/x'), (error) => hasCode(error, 'PARAMETER_INVALID'))
    assert.equal((await rename('/d', '/e/f')).path, '/e/f')
    assert.deepEqual(await livePaths(on, a), ['/e', '/e/f', '/e/f/x', '/taken'])
    await assertSound(on, a)
  })

  it('given a worker that dies after any slice, when another one goes on, then the result is the same and counted once', async () => {
    for (const kind of ['delete', 'copy', 'move'] as const) {
      await using bed = await bench(make, 5)
      const { on, a, b } = bed
      await put(on, a, ...files(on, 23))
      let slices = 0
      // The connection breaks again and again, before the commit of a slice.
      const dying = {
        ...on.db,
        transact: (async (work) => {
          if (++slices % 3 === 0) throw new Error('killed')
          return on.db.transact(work)
        }) as ArtifactServices['db']['transact'],
      }
      const other = artifactServices(dying, { rowsPerSlice: 5 })
      const call =
        kind === 'delete'
          ? on.trees.delete(a, path('/top'), 'bob', NEVER).then(({ nodes }) => nodes)
          : transfer(on, kind, [a, '/top'], [b, '/to']).then((done) => done.files + done.folders)
      const crashing = { ...other, queue: on.queue, clock: on.clock }
      let ended = false
      const watched = call.finally(() => {
        ended = true
      })
      await on.clock.untilSleeping()
      while (!ended) {
        await workOnce(crashing).catch((error: Error) => assert.equal(error.message, 'killed'))
        await on.clock.advance(200)
        await operationsOf(on) // as long as the caller's look takes
      }
      assert.equal(await watched, 23 + 6, kind)
      assert.equal((await liveFiles(on, kind === 'delete' ? a : b)).length, kind === 'delete' ? 0 : 23)
      await assertSound(on, a, b)
    }
  })

  it('given a claim that was lost, when its slice comes late, then it is refused and changes nothing', async () => {
    await using bed = await bench(make, 5)
    const { on, a } = bed
    await put(on, a, ...files(on, 23))
    const stop = new AbortController()
    const call = on.trees.delete(a, path('/top'), 'bob', stop.signal)
    await on.clock.untilSleeping()
    stop.abort(new Error('gone'))
    await assert.rejects(call, /gone/)
    const stale = (await on.queue.claim('i:1', ['tree-operation'], 0))!
    const handler = on.treeOperations.handlers.get('tree-operation')!
    const fresh = (await on.queue.claim('i:2', ['tree-operation'], 30_000))!
    await handler(fresh, NEVER)
    await handler(stale, NEVER)
    assert.deepEqual(await livePaths(on, a), [])
    const [operation] = await operationsOf(on)
    assert.deepEqual([operation?.files, operation?.folders, operation?.state], [23, 6, 'DONE'])
    await assertSound(on, a)
  })

  it('given writers in a tree that is deleted or moved, when it ends, then what they wrote stays with its folders', async () => {
    for (const kind of ['delete', 'move'] as const) {
      await using bed = await bench(make, 10)
      const { on, a, b } = bed
      await put(on, a, ...files(on, 60))
      const call: Promise<unknown> =
        kind === 'delete' ? on.trees.delete(a, path('/top'), 'bob', NEVER) : transfer(on, kind, [a, '/top'], [b, '/to'])
      await on.clock.untilSleeping()
      const late = Array.from({ length: 30 }, (_, at) => `/top/d${at % 5}/late${at}`)
      const overwritten = ['/top/d0/f0', '/top/d4/f59']
      const writes = [...late, ...overwritten].map((at) => settle(() => put(on, a, fileWrite(on, at, 'late'))))
      await whileWorking(on, Promise.all([call, ...writes]))
      assert.deepEqual(await liveFiles(on, a), [...late, ...overwritten].sort(), kind)
      assert.equal((await liveFiles(on, b)).length, kind === 'move' ? 58 : 0)
      await assertSound(on, a, b)
    }
  })

  it('given overlapping operations and writers, when all end, then no file is lost, doubled or without its folder', async () => {
    const random = seededRandom(11)
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)]!
    for (let round = 0; round < 4; round++) {
      await using bed = await bench(make, 8)
      const { on, a, b } = bed
      await put(on, a, ...files(on, 40, '/one'), ...files(on, 40, '/two'))
      const refusal = (error: unknown) => {
        if (!hasCode(error, 'NODE_NOT_FOUND', 'NODE_CONFLICT')) throw error
      }
      const moves = Array.from({ length: 6 }, () =>
        transfer(
          on,
          'move',
          [pick([a, b]), pick(['/one', '/two', '/one/d1', '/two/d2'])],
          [pick([a, b]), pick(['/three', '/one', '/two', '/'])],
          'replace',
        ).catch(refusal),
      )
      const written = Array.from({ length: 10 }, async (_, at) => {
        const file = fileWrite(on, `${pick(['/one', '/two', '/three'])}/d${at % 3}/new${at}`, `new ${at}`)
        const repository = pick([a, b])
        const status = await settle(() => put(on, repository, file)).then(() => 'written', refusal)
        return { ...file, status: status ?? 'refused' }
      })
      await whileWorking(on, Promise.all([...moves, ...written]), 3)
      await assertSound(on, a, b)
      const there = [...(await liveRows(on, a)), ...(await liveRows(on, b))].filter((row) => row.folder === 0)
      // Files of one name have one content here, so whatever replaced whatever, every content is still somewhere.
      const contents = new Set(there.map((row) => digestFromBytes(row.sha256!)))
      const lost = files(on, 40).filter(({ digest }) => !contents.has(digest))
      assert.deepEqual(
        lost.map((file) => file.path),
        [],
      )
      for (const { status, path: at, digest } of await Promise.all(written)) {
        assert.ok(status === 'refused' || contents.has(digest), at)
      }
      const log = await on.db.read.selectFrom('change_log').selectAll().execute()
      assert.equal(
        log.reduce((sum, { dn }) => sum + dn, 0),
        there.length,
      )
    }
  })
})
