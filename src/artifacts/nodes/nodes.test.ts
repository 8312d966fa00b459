import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { hasCode } from '../../core/errors.ts'
import { putFiles } from './node-writer.ts'

eachDatabase('nodes', (make) => {
  it('given files that expired in several repositories, when swept, then those are deleted and logged, and no other', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const first = await makeRepository(on, 'demo/first')
    const second = await makeRepository(on, 'demo/second')
    const soon = on.clock.now() + 1_000
    for (const repository of [first, second]) {
      const expiring = Array.from({ length: 3 }, (_, at) => fileWrite(on, `/e${at}`, 'x', { expiresAt: soon }))
      const staying = [fileWrite(on, '/stays'), fileWrite(on, '/later', 'x', { expiresAt: soon + 1 })]
      await db.transact((trx) => putFiles(trx, repository, [...expiring, ...staying], new Map(), 0))
    }
    assert.equal(await on.nodes.deleteExpired(t.signal), 0)
    await on.clock.advance(1_000)
    assert.equal(await on.nodes.deleteExpired(t.signal), 6)
    assert.equal(await on.nodes.deleteExpired(t.signal), 0)
    const live = await db.read
      .selectFrom('node')
      .select('path')
      .where('deleted_at', 'is', null)
      .orderBy('path')
      .execute()
    assert.deepEqual(
      live.map((row) => row.path),
      ['/later', '/later', '/stays', '/stays'],
    )
    const log = await db.read.selectFrom('change_log').select('path').where('op', '=', 2).execute()
    assert.equal(log.length, 6)
  })

  it('given metadata on a folder, when saved, then it is there and no change log row is', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await on.nodes.makeFolder(repository, path('/d'), 'alice')
    await on.nodes.saveMetadata(repository, path('/d'), [{ key: 'k', value: 1 }], 'alice')
    assert.deepEqual((await on.nodes.get(repository, path('/d'))).metadata, [{ key: 'k', value: 1 }])
    assert.deepEqual(await db.read.selectFrom('change_log').selectAll().execute(), [])
    await assert.rejects(on.nodes.saveMetadata(repository, path('/'), [], 'alice'), (e) =>
      hasCode(e, 'PARAMETER_INVALID'),
    )
  })

  it('given ten changes of the metadata of one folder at once, when all end, then none is lost', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await on.nodes.makeFolder(repository, path('/d'), 'alice')
    const keys = Array.from({ length: 10 }, (_, at) => `k${at}`)
    await Promise.all(keys.map((key) => on.nodes.saveMetadata(repository, path('/d'), [{ key, value: 1 }], 'alice')))
    const { metadata } = await on.nodes.get(repository, path('/d'))
    assert.deepEqual(metadata.map(({ key }) => key).sort(), keys)
  })

  it('given a writer and a deletion of the repository, when they race, then no live node is left in a repository that is gone', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    for (let round = 0; round < 5; round++) {
      const repository = await makeRepository(on, `demo/r${round}`)
      const write = (at: number) =>
        db
          .transact((trx) => putFiles(trx, repository, [fileWrite(on, `/d/f${at}`)], new Map(), 0))
          .then(
            () => 'written',
            (error) => (hasCode(error, 'REPOSITORY_NOT_FOUND') ? 'refused' : Promise.reject(error)),
          )
      const remove = on.repositories.delete('demo', repository.name, 'with-content', 'admin')
      await Promise.all([...Array.from({ length: 8 }, (_, at) => write(at)), remove])
      await on.retirement.run(t.signal)
      const live = await db.read
        .selectFrom('node')
        .select('path')
        .where('repo_id', '=', repository.id)
        .where('deleted_at', 'is', null)
        .execute()
      assert.deepEqual(live, [])
    }
  })
})
