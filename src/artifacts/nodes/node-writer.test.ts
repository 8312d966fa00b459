import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  type ArtifactServices,
  artifactServices,
  fileWrite,
  makeRepository,
  path,
} from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { hasCode } from '../../core/errors.ts'
import { contentLanes, metadataLanes } from '../../core/lanes.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { deleteFiles, type FileWrite, lockLive, putFiles, putFolders, putMetadata } from './node-writer.ts'

/** As the uses of the primitive do: lock, then write. */
async function put(on: ArtifactServices, repository: Repository, ...writes: FileWrite[]) {
  return on.db.transact(async (trx) => {
    const current = await lockLive(
      trx,
      repository.id,
      writes.map((write) => write.path),
    )
    return putFiles(trx, repository, writes, current, on.clock.now())
  })
}
const livePaths = async ({ db }: ArtifactServices, repoId: number) =>
  (
    await db.read
      .selectFrom('node')
      .select('path')
      .where('repo_id', '=', repoId)
      .where('deleted_at', 'is', null)
      .orderBy('path')
      .execute()
  ).map((row) => row.path)
const logOf = ({ db }: ArtifactServices, repoId: number) =>
  db.read.selectFrom('change_log').selectAll().where('repo_id', '=', repoId).orderBy('id').execute()

/** Sums of the deltas must equal the sums over the live rows: what fingerprints live by. */
async function assertSumsAgree({ db }: ArtifactServices, repoId: number): Promise<void> {
  const lanes = ['0', '1', '2', '3'] as const
  const rows = await db.read
    .selectFrom('node')
    .selectAll()
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .execute()
  const log = await db.read.selectFrom('change_log').selectAll().where('repo_id', '=', repoId).execute()
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
  assert.equal(sum(log.map(({ dn }) => dn)), rows.length, 'dn')
  for (const at of lanes) {
    assert.equal(sum(log.map((row) => row[`d${at}`])), sum(rows.map((row) => row[`c${at}`])), `d${at}`)
    assert.equal(sum(log.map((row) => row[`e${at}`])), sum(rows.map((row) => row[`m${at}`])), `e${at}`)
  }
}

eachDatabase('node writer', (make) => {
  it('given an empty repository, when files are put, then rows, parents, lanes and change log rows are there', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const metadata = [{ key: 'k', value: 1 }]
    const write = fileWrite(on, '/a/b/c.txt', 'hello', { metadata, md5: 'ff', viaLink: 7, viaMark: 4, origin: 3 })
    const [record] = await put(on, repository, write)
    assert.deepEqual(await livePaths(on, repository.id), ['/a', '/a/b', '/a/b/c.txt'])
    const stored = (await liveAt(db.read, repository.id, [write.path])).get(write.path)
    assert.deepEqual(stored, record)
    assert.deepEqual(stored?.contentLanes, contentLanes('/a/b/c.txt', write.digest, 5))
    assert.deepEqual(stored?.metadataLanes, metadataLanes('/a/b/c.txt', metadata))
    const log = await logOf(on, repository.id)
    assert.equal(log.length, 1)
    assert.deepEqual(
      { path: log[0]?.path, op: log[0]?.op, dn: log[0]?.dn, origin: log[0]?.origin, via: log[0]?.via_link },
      { path: '/a/b/c.txt', op: 1, dn: 1, origin: 3, via: 7 },
    )
    await assertSumsAgree(on, repository.id)
  })

  it('given a live file, when it is put again, then the old row is soft-deleted and one live row is left', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, fileWrite(on, '/a', 'one'))
    await on.clock.advance(1_000)
    await put(on, repository, fileWrite(on, '/a', 'two', { modifiedBy: 'bob' }))
    const rows = await db.read.selectFrom('node').selectAll().where('path', '=', '/a').orderBy('id').execute()
    assert.deepEqual(
      rows.map(({ size, deleted_by, deleted_at, modified_at }) => ({ size, deleted_by, deleted_at, modified_at })),
      [
        { size: 3, deleted_by: 'bob', deleted_at: on.clock.now(), modified_at: on.clock.now() },
        { size: 3, deleted_by: null, deleted_at: null, modified_at: on.clock.now() },
      ],
    )
    assert.deepEqual(
      (await logOf(on, repository.id)).map(({ op, dn }) => [op, dn]),
      [
        [1, 1],
        [1, 0],
      ],
    )
    await assertSumsAgree(on, repository.id)
  })

  it('given 600 files in one call, when put twice by several authors, then all are replaced and the sums agree', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const writes = (round: string) =>
      Array.from({ length: 600 }, (_, at) =>
        fileWrite(on, `/d${at % 30}/e${at % 7}/f${at}`, `${round} ${at}`, { modifiedBy: `user ${at % 50}` }),
      )
    await put(on, repository, ...writes('first'))
    await put(on, repository, ...writes('second'))
    const files = await db.read
      .selectFrom('node')
      .select((eb) => [eb.fn.countAll<number>().as('all'), eb.fn.count<number>('deleted_at').as('deleted')])
      .where('folder', '=', 0)
      .executeTakeFirstOrThrow()
    assert.deepEqual({ ...files }, { all: 1_200, deleted: 600 })
    const mixed = await db.read
      .selectFrom('node')
      .select('id')
      .where('deleted_at', 'is not', null)
      .whereRef('deleted_by', '!=', 'modified_by')
      .execute()
    assert.deepEqual(mixed, [])
    await assertSumsAgree(on, repository.id)
  })

  it('given a folder at the path or a file at a parent, when a file is put, then NODE_CONFLICT names it and nothing is written', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, fileWrite(on, '/a/b'))
    for (const [at, named] of [
      ['/a', '/a'],
      ['/a/b/c', '/a/b'],
      ['/a/b/c/d/e', '/a/b'],
    ] as const) {
      await assert.rejects(
        put(on, repository, fileWrite(on, '/free'), fileWrite(on, at)),
        (error) => hasCode(error, 'NODE_CONFLICT') && error.message.includes(`[${named}]`),
      )
    }
    // Both in one call: the folder that the second one needs is the first one.
    const both = put(on, repository, fileWrite(on, '/x'), fileWrite(on, '/x/y'))
    await assert.rejects(both, (error) => hasCode(error, 'NODE_CONFLICT'))
    assert.deepEqual(await livePaths(on, repository.id), ['/a', '/a/b'])
  })

  it('given an expired file at a parent, when a file is put below, then the expired one gives way and is logged as deleted', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, fileWrite(on, '/a', 'old', { expiresAt: on.clock.now() + 10 }))
    await on.clock.advance(10)
    await put(on, repository, fileWrite(on, '/a/b'))
    assert.deepEqual(await livePaths(on, repository.id), ['/a', '/a/b'])
    assert.deepEqual(
      (await logOf(on, repository.id)).map(({ path: at, op }) => [at, op]),
      [
        ['/a', 1],
        ['/a', 2],
        ['/a/b', 1],
      ],
    )
    await assertSumsAgree(on, repository.id)
  })

  it('given 50 parallel writers of one new path, when all put, then one wins and the others get a retryable NODE_EXISTED', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, at) => put(on, repository, fileWrite(on, '/deep/er/one', `content ${at}`))),
    )
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    const existed = refused.filter((error) => hasCode(error, 'NODE_EXISTED') && error.retryable)
    // A writer that comes after the winner sees its row and replaces it: that is for the caller to refuse.
    const winners = results.length - refused.length
    assert.equal(existed.length, refused.length)
    const rows = await db.read.selectFrom('node').selectAll().where('path', '=', '/deep/er/one').execute()
    assert.equal(rows.length, winners)
    assert.equal(rows.filter((row) => row.deleted_at === null).length, 1)
    await assertSumsAgree(on, repository.id)
  })

  it('given many writers below folders that nobody made yet, when all put at once, then none fails', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await Promise.all(
      Array.from({ length: 40 }, (_, at) => put(on, repository, fileWrite(on, `/p/q/r${at % 4}/s/f${at}`))),
    )
    const paths = await livePaths(on, repository.id)
    assert.equal(paths.length, 40 + 2 + 8)
    await assertSumsAgree(on, repository.id)
  })

  it('given a repository that is deleted meanwhile, when a file is put, then REPOSITORY_NOT_FOUND', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await on.repositories.delete('demo', 'files', 'if-empty', 'admin')
    await assert.rejects(put(on, repository, fileWrite(on, '/a')), (error) => hasCode(error, 'REPOSITORY_NOT_FOUND'))
    assert.deepEqual(await livePaths(on, repository.id), [])
  })

  it('given files and a folder, when metadata is put, then only files leave change log rows and the content lanes stay', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(
      on,
      repository,
      fileWrite(on, '/d/a', 'a', { metadata: [{ key: 'old', value: 1 }] }),
      fileWrite(on, '/d/b'),
    )
    await db.transact(async (trx) => {
      const rows = await lockLive(trx, repository.id, [path('/d/a'), path('/d')])
      const changes = [...rows.values()].map((node) => ({
        node,
        metadata: [{ key: 'new', value: { deep: [null, 'é'] } }],
        modifiedBy: 'bob',
        modifiedAt: 5,
        origin: 2,
        hlc: on.hlc.next(),
        viaLink: 9,
        viaMark: 8,
      }))
      await putMetadata(trx, repository, changes, on.clock.now())
    })
    const rows = await liveAt(db.read, repository.id, [path('/d/a'), path('/d')])
    const file = rows.get(path('/d/a'))!
    assert.deepEqual(file.metadata, [{ key: 'new', value: { deep: [null, 'é'] } }])
    assert.deepEqual([file.modifiedBy, file.modifiedAt, file.origin, file.viaLink, file.viaMark], ['bob', 5, 2, 9, 8])
    assert.deepEqual(rows.get(path('/d'))?.metadata, file.metadata)
    const log = await logOf(on, repository.id)
    assert.deepEqual(
      log.map(({ path: at, op, dn }) => [at, op, dn]),
      [
        ['/d/a', 1, 1],
        ['/d/b', 1, 1],
        ['/d/a', 3, 0],
      ],
    )
    assert.deepEqual([log[2]?.d0, log[2]?.d1, log[2]?.d2, log[2]?.d3], [0, 0, 0, 0])
    await assertSumsAgree(on, repository.id)
  })

  it('given files, when deleted, then tombstones carry the stamp and a second deletion is refused as changed', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, fileWrite(on, '/a'), fileWrite(on, '/b'))
    const rows = [...(await liveAt(db.read, repository.id, [path('/a'), path('/b')])).values()]
    const deletion = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
    const gone = await db.transact((trx) => deleteFiles(trx, repository, rows, deletion))
    assert.deepEqual(gone, { files: 2, folders: 0, bytes: 4 })
    const tombstones = await db.read.selectFrom('tombstone').selectAll().orderBy('path').execute()
    assert.deepEqual(
      tombstones.map(({ path: at, hlc }) => [at, hlc]),
      [
        ['/a', deletion.hlc],
        ['/b', deletion.hlc],
      ],
    )
    await assert.rejects(
      db.transact((trx) => deleteFiles(trx, repository, rows, deletion)),
      (error) => hasCode(error, 'NODE_EXISTED') && error.retryable,
    )
    await assertSumsAgree(on, repository.id)
  })

  it('given folders, when made again or over a file, then the first is fine and the second is NODE_CONFLICT', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const mkdir = (...paths: string[]) =>
      db.transact((trx) => putFolders(trx, repository, paths.map(path), 'bob', on.clock.now(), on.hlc.next()))
    await mkdir('/a/b', '/a/b', '/a')
    await mkdir('/a/b/c')
    await put(on, repository, fileWrite(on, '/a/file'))
    await assert.rejects(mkdir('/a/file'), (error) => hasCode(error, 'NODE_CONFLICT'))
    await assert.rejects(mkdir('/a/file/below'), (error) => hasCode(error, 'NODE_CONFLICT'))
    assert.deepEqual(await livePaths(on, repository.id), ['/a', '/a/b', '/a/b/c', '/a/file'])
  })

  it('given the longest path, of text that does not compress, when put, then both databases take it', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    let state = 1
    const letter = () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return String.fromCharCode(0x4e00 + (state % 20_000))
    }
    const name = (length: number) => Array.from({ length }, letter).join('')
    const longest = `/${name(400)}/${name(400)}/${name(65)}`
    assert.ok(Buffer.byteLength(longest) > 2_590)
    await put(on, repository, fileWrite(on, longest))
    assert.equal((await on.nodes.get(repository, path(longest))).path, longest)
  })
})
