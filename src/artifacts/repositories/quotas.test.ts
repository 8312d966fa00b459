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
import { usedBytes } from '../../metadata/repositories/usage.ts'
import { deleteFiles, type FileWrite, lockLive, putFiles, putFolders } from '../nodes/node-writer.ts'
import { settle, stampAbove } from '../nodes/settle.ts'
import type { Repository } from './repositories.ts'

const put = (on: ArtifactServices, repository: Repository, ...writes: FileWrite[]) =>
  settle(() =>
    on.db.transact(async (trx) => {
      const paths = writes.map((write) => write.path)
      const current = await lockLive(trx, repository.id, paths)
      return putFiles(trx, repository, writes, current, on.clock.now())
    }),
  )
const remove = (on: ArtifactServices, repository: Repository, ...paths: string[]) =>
  on.db.transact(async (trx) => {
    const rows = await lockLive(trx, repository.id, paths.map(path))
    const stamp = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
    return deleteFiles(trx, repository, [...rows.values()], stamp)
  })
const sized = (on: ArtifactServices, at: string, bytes: number) => fileWrite(on, at, 'x'.repeat(bytes))
const isFull = (error: unknown) => hasCode(error, 'QUOTA_EXCEEDED')
const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error) => (isFull(error) ? 'full' : Promise.reject(error)),
  )
const liveBytes = async ({ db }: ArtifactServices, { id }: Repository) =>
  (
    await db.read
      .selectFrom('node')
      .select((eb) => eb.fn.sum<number | null>('size').as('bytes'))
      .where('repo_id', '=', id)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow()
  ).bytes ?? 0

async function withQuota(on: ArtifactServices, quota: number): Promise<Repository> {
  const { project, name } = await makeRepository(on)
  await on.quotas.set(await on.repositories.get(project, name), quota, 'admin')
  return on.repositories.get(project, name)
}

eachDatabase('quotas', (make) => {
  it('15.5 given a quota, when files come to its last byte, then an exact fit is taken and one byte more is not', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 100)
    await put(on, repository, sized(on, '/a', 60))
    await assert.rejects(put(on, repository, sized(on, '/b', 41)), isFull)
    assert.deepEqual(await on.quotas.usage(repository), { quota: 100, used: 60 })
    await put(on, repository, sized(on, '/b', 40))
    await assert.rejects(put(on, repository, sized(on, '/c', 1)), isFull)
    await put(on, repository, sized(on, '/empty', 0))
    assert.deepEqual(await on.quotas.usage(repository), { quota: 100, used: 100 })
  })

  it('15.5 given a full repository, when files are replaced or deleted, then the difference counts and bytes come back', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 100)
    await put(on, repository, sized(on, '/a', 60), sized(on, '/b', 40))
    await put(on, repository, sized(on, '/a', 60))
    await assert.rejects(put(on, repository, sized(on, '/a', 61)), isFull)
    await put(on, repository, sized(on, '/a', 10))
    assert.equal(await usedBytes(db.read, repository.id), 50)
    await remove(on, repository, '/b')
    assert.equal(await usedBytes(db.read, repository.id), 10)
    await put(on, repository, sized(on, '/c', 90))
    assert.equal(await usedBytes(db.read, repository.id), await liveBytes(on, repository))
  })

  it('given a full repository, when a transaction deletes as much as it adds, then it is taken', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 50)
    await put(on, repository, sized(on, '/old', 50))
    await db.transact(async (trx) => {
      const rows = await lockLive(trx, repository.id, [path('/old'), path('/new')])
      await putFiles(trx, repository, [sized(on, '/new', 50)], rows, on.clock.now())
      const stamp = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
      await deleteFiles(trx, repository, [rows.get(path('/old'))!], stamp)
    })
    assert.equal(await usedBytes(db.read, repository.id), 50)
  })

  it('15.5 given room for ten files, when fifty come at once, then exactly ten are taken and used is exact', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 100)
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, at) => outcome(put(on, repository, sized(on, `/d${at % 7}/f${at}`, 10)))),
    )
    assert.equal(results.filter((result) => result === 'ok').length, 10)
    assert.equal(await usedBytes(db.read, repository.id), 100)
    assert.equal(await liveBytes(on, repository), 100)
  })

  it('given writers without a limit, when a quota is set among them, then nothing above it comes after it', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const write = (at: number) => outcome(put(on, repository, sized(on, `/f${at}`, 10)))
    const early = Array.from({ length: 20 }, (_, at) => write(at))
    const set = on.quotas.set(repository, 100, 'admin')
    const late = Array.from({ length: 20 }, (_, at) => write(100 + at))
    await Promise.all([...early, set, ...late])
    assert.equal(await usedBytes(db.read, repository.id), await liveBytes(on, repository))
    const before = await usedBytes(db.read, repository.id)
    assert.equal(await write(999), before < 100 ? 'ok' : 'full')
  })

  it('given overwrites, deletions and new files at once, when all is over, then used equals the live bytes', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 400)
    const deed = (at: number) => {
      const where = `/f${at % 9}`
      if (at % 5 !== 4) return outcome(put(on, repository, sized(on, where, 1 + ((at * 37) % 90))))
      return settle(() => remove(on, repository, where))
    }
    await Promise.all(Array.from({ length: 50 }, (_, at) => deed(at)))
    const used = await usedBytes(db.read, repository.id)
    assert.equal(used, await liveBytes(on, repository))
    assert.ok(used <= 400)
  })

  it('given a quota below what is in use, when set, then it stands, additions are refused and deletions are not', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const { id, project, name } = await withQuota(on, 100)
    let repository = await on.repositories.get(project, name)
    await put(on, repository, sized(on, '/a', 60), sized(on, '/b', 30))
    await on.quotas.set(repository, 20, 'bob')
    repository = await on.repositories.get(project, name)
    assert.deepEqual(await on.quotas.usage(repository), { quota: 20, used: 90 })
    assert.equal(repository.modifiedBy, 'bob')
    await assert.rejects(put(on, repository, sized(on, '/c', 1)), isFull)
    await put(on, repository, sized(on, '/a', 59))
    await remove(on, repository, '/a')
    await on.quotas.set(repository, null, 'bob')
    await put(on, repository, sized(on, '/c', 500))
    assert.equal(await usedBytes(db.read, id), 530)
  })

  it('given an expired file in the way of a folder, when a folder takes its place, then its bytes come back', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withQuota(on, 100)
    await put(on, repository, { ...sized(on, '/a', 80), expiresAt: on.clock.now() + 1 })
    on.clock.advance(2)
    await db.transact((trx) =>
      putFolders(trx, repository, [path('/a/b')], 'bob', on.clock.now(), stampAbove(on.hlc, undefined)),
    )
    assert.equal(await usedBytes(db.read, repository.id), 0)
  })

  it('given a quota that is no number of bytes, when set, then it is PARAMETER_INVALID', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    for (const quota of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await assert.rejects(on.quotas.set(repository, quota, 'admin'), (error) => hasCode(error, 'PARAMETER_INVALID'))
    }
  })
})
