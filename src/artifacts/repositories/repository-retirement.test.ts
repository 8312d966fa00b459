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
import { deleteFiles, lockLive, putFiles } from '../nodes/node-writer.ts'
import type { Repository } from './repositories.ts'
import { createRepositoryRetirement, RETIRE_REPOSITORIES } from './repository-retirement.ts'

const fill = (on: ArtifactServices, repository: Repository, files: number) =>
  on.db.transact((trx) => {
    const writes = Array.from({ length: files }, (_, at) => fileWrite(on, `/d${at % 7}/f${at}`, 'abc'))
    return putFiles(trx, repository, writes, new Map(), on.clock.now())
  })
const liveRows = async ({ db }: ArtifactServices, { id }: Repository) =>
  (await db.read.selectFrom('node').select('id').where('repo_id', '=', id).where('deleted_at', 'is', null).execute())
    .length

eachDatabase('repository retirement', (make) => {
  it('given a repository with files, when deleted without force, then it is refused; an empty one goes', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await fill(on, repository, 1)
    await assert.rejects(on.repositories.delete('demo', 'files', 'if-empty', 'bob'), (error) =>
      hasCode(error, 'REPOSITORY_NOT_EMPTY'),
    )
    await makeRepository(on, 'demo/empty')
    await on.repositories.delete('demo', 'empty', 'if-empty', 'bob')
    assert.equal(await on.repositories.find('demo', 'empty'), undefined)
  })

  it('given a repository of many slices, when deleted by force, then it is gone at once and its rows, tombstones and usage go after', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await fill(on, repository, 330)
    await on.trees.delete(repository, path('/d0/f0'), 'bob', t.signal)
    await on.repositories.delete('demo', 'files', 'with-content', 'bob')
    assert.equal(await on.repositories.find('demo', 'files'), undefined)
    assert.ok((await liveRows(on, repository)) > 330)
    assert.ok((await on.queue.claim('me', [RETIRE_REPOSITORIES], 1_000)) !== undefined, 'the worker is woken')
    const again = await makeRepository(on)
    await fill(on, again, 3)

    const deletedAt = on.clock.now()
    on.clock.advance(5_000)
    assert.equal(await on.retirement.run(t.signal), 329 + 7)
    assert.equal(await liveRows(on, repository), 0)
    const rows = await db.read.selectFrom('node').selectAll().where('repo_id', '=', repository.id).execute()
    assert.deepEqual(new Set(rows.map((row) => row.deleted_at)), new Set([deletedAt]))
    const left = (table: 'tombstone' | 'repository_usage') =>
      db.read.selectFrom(table).select('repo_id').where('repo_id', '=', repository.id).execute()
    assert.deepEqual([await left('tombstone'), await left('repository_usage')], [[], []])
    assert.equal(await usedBytes(db.read, again.id), 9)
    assert.equal(await on.retirement.run(t.signal), 0)
  })

  it('given a retirement that was cut, when it runs again, then it goes on', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await fill(on, repository, 260)
    await on.repositories.delete('demo', 'files', 'with-content', 'bob')
    const cut = new AbortController()
    let slices = 0
    const cutting: typeof db = {
      ...db,
      transact: async (work) => {
        const result = await db.transact(work)
        if (++slices === 1) cut.abort()
        return result
      },
    }
    const first = createRepositoryRetirement({ db: cutting, clock: on.clock, queue: on.queue })
    await assert.rejects(first.run(cut.signal))
    const left = await liveRows(on, repository)
    assert.ok(left > 0 && left < 267)
    assert.equal(await on.retirement.run(t.signal), left)
  })

  it('given a deleted repository, when its files are written, deleted or expire, then nobody touches them but the retirement', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const write = fileWrite(on, '/a', 'abc', { expiresAt: on.clock.now() + 10 })
    await db.transact((trx) => putFiles(trx, repository, [write], new Map(), on.clock.now()))
    await on.repositories.delete('demo', 'files', 'with-content', 'bob')
    const isGone = (error: unknown) => hasCode(error, 'REPOSITORY_NOT_FOUND')
    const change = (work: 'put' | 'delete') =>
      db.transact(async (trx) => {
        const rows = await lockLive(trx, repository.id, [write.path])
        if (work === 'put') return putFiles(trx, repository, [fileWrite(on, '/a', 'x')], rows, on.clock.now())
        const deletion = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
        return deleteFiles(trx, repository, [...rows.values()], deletion)
      })
    await assert.rejects(change('put'), isGone)
    await assert.rejects(change('delete'), isGone)
    on.clock.advance(20)
    assert.equal(await on.nodes.deleteExpired(t.signal), 0)
    assert.equal(await on.retirement.run(t.signal), 1)
  })
})
