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
import { type FileWrite, lockLive, putFiles } from '../nodes/node-writer.ts'
import type { Repository } from './repositories.ts'

const DAY_MS = 86_400_000

const put = (on: ArtifactServices, repository: Repository, ...writes: FileWrite[]) =>
  on.db.transact(async (trx) => {
    const paths = writes.map((write) => write.path)
    return putFiles(trx, repository, writes, await lockLive(trx, repository.id, paths), on.clock.now())
  })
const files = async ({ db }: ArtifactServices, { id }: Repository) => {
  const live = db.read.selectFrom('node').select('path').where('repo_id', '=', id).where('deleted_at', 'is', null)
  return (await live.where('folder', '=', 0).orderBy('path').execute()).map((row) => row.path)
}
const aged = (on: ArtifactServices, at: string, days: number) =>
  fileWrite(on, at, at, { modifiedAt: on.clock.now() - days * DAY_MS })
const clean = (on: ArtifactServices, signal: AbortSignal) => on.cleanup.runStrategies(signal)
async function withStrategy(on: ArtifactServices, strategy: object): Promise<Repository> {
  const { project, name } = await makeRepository(on)
  const settings = { cleanupStrategy: { enable: true, ...strategy } }
  return on.repositories.update(project, name, { configuration: { settings } }, 'admin')
}

eachDatabase('cleanup', (make) => {
  it('given old and new files over several slices, when cleaned before a date, then the old go with tombstones, log and bytes', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const old = Array.from({ length: 230 }, (_, at) => aged(on, `/d${at % 4}/old${at}`, 10))
    await put(on, repository, ...old, aged(on, '/d1/new', 1), aged(on, '/edge', 5))
    const before = on.clock.now() - 5 * DAY_MS
    const gone = await on.cleanup.clean(repository, before, 'bob', t.signal)
    const bytes = old.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    assert.deepEqual(gone, { files: 230, bytes, at: on.clock.now() })
    assert.deepEqual(await files(on, repository), ['/d1/new', '/edge'])
    const count = async (table: 'tombstone' | 'change_log') =>
      (await db.read.selectFrom(table).select('path').where('repo_id', '=', repository.id).execute()).length
    assert.deepEqual([await count('tombstone'), await count('change_log')], [230, 232 + 230])
    assert.equal(await usedBytes(db.read, repository.id), 12)
    assert.equal((await on.cleanup.clean(repository, before, 'bob', t.signal)).files, 0)
  })

  it('given a caller who leaves, when cleaned, then what was done stays and the next call goes on', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, ...Array.from({ length: 220 }, (_, at) => aged(on, `/f${at}`, 10)))
    const left = new AbortController()
    left.abort()
    await assert.rejects(on.cleanup.clean(repository, on.clock.now(), 'bob', left.signal))
    assert.equal((await on.cleanup.clean(repository, on.clock.now(), 'bob', new AbortController().signal)).files, 220)
  })

  it('given retentionDays with targets, when the chore runs, then only old files below them go', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const targets = { cleanTargets: ['/builds', 'logs/'] }
    const repository = await withStrategy(on, { cleanupType: 'retentionDays', cleanupValue: '7', ...targets })
    const old = ['/builds/a', '/builds/x/b', '/builds-kept/a', '/logs/l', '/other']
    await put(on, repository, ...old.map((at) => aged(on, at, 8)), aged(on, '/builds/new', 6))
    assert.equal(await clean(on, t.signal), 3)
    assert.deepEqual(await files(on, repository), ['/builds-kept/a', '/builds/new', '/other'])
  })

  it('given retentionDate for the whole repository, when the chore runs, then what is older goes', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withStrategy(on, { cleanupType: 'retentionDate', cleanupValue: '2025-12-25' })
    await put(on, repository, aged(on, '/a', 8), aged(on, '/b', 6))
    assert.equal(await clean(on, t.signal), 1)
    assert.deepEqual(await files(on, repository), ['/b'])
  })

  it('given retentionNums, when the chore runs, then each folder keeps its newest files', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await withStrategy(on, { cleanupType: 'retentionNums', cleanupValue: 2 })
    const some = [
      aged(on, '/b/1', 3),
      aged(on, '/b/2', 1),
      aged(on, '/b/3', 2),
      aged(on, '/b/same-a', 3),
      aged(on, '/b/c/1', 9),
      aged(on, '/b/c/2', 9),
      aged(on, '/b/c/3', 9),
      aged(on, '/top', 50),
    ]
    await put(on, repository, ...some)
    assert.equal(await clean(on, t.signal), 3)
    assert.deepEqual(await files(on, repository), ['/b/2', '/b/3', '/b/c/1', '/b/c/2', '/top'])
    assert.equal(await clean(on, t.signal), 0)
  })

  it('given a strategy that is switched off, when the chore runs, then nothing goes', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const off = { enable: false, cleanupType: 'retentionDays', cleanupValue: 1 }
    const repository = await withStrategy(on, off)
    await put(on, repository, aged(on, '/a', 8))
    assert.equal(await clean(on, t.signal), 0)
  })

  it('given strategies that mean nothing, when set, then they are refused by field', async () => {
    await using db = await make()
    const on = artifactServices(db)
    await makeRepository(on)
    for (const [strategy, code, field] of [
      [{}, 'PARAMETER_MISSING', 'cleanupType'],
      [{ cleanupType: 'retentionYears', cleanupValue: 1 }, 'REQUEST_CONTENT_INVALID', 'cleanupType'],
      [{ cleanupType: 'retentionDays' }, 'PARAMETER_MISSING', 'cleanupValue'],
      [{ cleanupType: 'retentionDays', cleanupValue: 0 }, 'PARAMETER_INVALID', 'cleanupValue'],
      [{ cleanupType: 'retentionDays', cleanupValue: '1.5' }, 'PARAMETER_INVALID', 'cleanupValue'],
      [{ cleanupType: 'retentionDate', cleanupValue: 'soon' }, 'PARAMETER_INVALID', 'cleanupValue'],
      [{ cleanupType: 'retentionNums', cleanupValue: '99999' }, 'PARAMETER_INVALID', 'cleanupValue'],
      [{ cleanupType: 'retentionDays', cleanupValue: 1, cleanTargets: [7] }, 'REQUEST_CONTENT_INVALID', 'cleanTargets'],
    ] as const) {
      const configuration = { settings: { cleanupStrategy: { enable: true, ...strategy } } }
      await assert.rejects(on.repositories.update('demo', 'files', { configuration }, 'admin'), (error) => {
        assert.ok(hasCode(error, code), `${JSON.stringify(strategy)}: ${error}`)
        assert.match(error.message, new RegExp(field))
        return true
      })
    }
  })
})

eachDatabase('node expiry', (make) => {
  it('given a file, when it gets days and then none, then it expires then and never again, and the log says so', async (t) => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, fileWrite(on, '/d/a'), fileWrite(on, '/d/b'))
    on.clock.advance(1_000)
    await on.expiry.setDays(repository, path('/d/a'), 2, 'bob')
    const node = await on.nodes.get(repository, path('/d/a'))
    assert.equal(node.expiresAt, on.clock.now() + 2 * DAY_MS)
    assert.deepEqual([node.modifiedBy, node.modifiedAt], ['bob', on.clock.now()])
    const [last] = await db.read.selectFrom('change_log').selectAll().orderBy('id', 'desc').limit(1).execute()
    assert.deepEqual([last?.path, last?.op, last?.dn, last?.d0, last?.e0], ['/d/a', 3, 0, 0, 0])
    await on.expiry.setDays(repository, path('/d/a'), 0, 'bob')
    await on.expiry.setDays(repository, path('/d/b'), 1, 'bob')
    on.clock.advance(3 * DAY_MS)
    assert.deepEqual((await on.nodes.find(repository, path('/d/b')))?.path, undefined)
    assert.equal(await on.nodes.deleteExpired(t.signal), 1)
    assert.deepEqual(await files(on, repository), ['/d/a'])
    const notFound = (error: unknown) => hasCode(error, 'NODE_NOT_FOUND')
    await assert.rejects(on.expiry.setDays(repository, path('/d/b'), 1, 'bob'), notFound)
    await assert.rejects(on.expiry.setDays(repository, path('/d'), 1, 'bob'), (error) =>
      hasCode(error, 'PARAMETER_INVALID'),
    )
  })
})
