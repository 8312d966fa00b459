import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fileWrite, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  logSums,
  makePackageRepository,
  type PackageServices,
  packageServices,
} from '../../../test/helpers/packages.ts'
import { hasCode } from '../../core/errors.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { changedPaths } from '../../metadata/changes/change-spans.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { lockLive, putFiles } from '../nodes/node-writer.ts'
import { createDownloadCounts } from './download-counts.ts'

async function livePaths({ db }: PackageServices, { id }: Repository): Promise<string[]> {
  const nodes = db.read.selectFrom('node').where('repo_id', '=', id).where('deleted_at', 'is', null)
  const rows = await nodes.where('folder', '=', 0).select('path').orderBy('path').execute()
  return rows.map((row) => row.path)
}
async function versionNames({ packages }: PackageServices, repository: Repository): Promise<string[]> {
  const filter = { namePrefix: undefined, stageTags: undefined, metadata: undefined }
  const page = await packages.pageVersions(repository, 'rds://a', filter, [], { pageNumber: 1, pageSize: 1_000 })
  return page.records.map(({ name }) => name)
}
async function assertSumsAgree(on: PackageServices, repository: Repository): Promise<void> {
  const { logged, live } = await logSums(on, repository.id)
  assert.deepEqual(logged, live)
}
const SIGNAL = new AbortController().signal

eachDatabase('deleting packages', (make) => {
  it('given versions that share a file, when they are deleted, then it goes with the last one, and the package too', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    await on.publish(repository, 'a', '1', { '/a/1': 'one', '/shared': 'shared' }, { package: { tags: ['old'] } })
    await on.publish(repository, 'a', '2', { '/a/2': 'two', '/shared': undefined })
    await on.deletion.deleteVersion(repository, 'rds://a', '1', 'bob')
    assert.deepEqual(await livePaths(on, repository), ['/a/2', '/shared'])
    const one = await on.packages.get(repository, 'rds://a')
    assert.deepEqual([one.versions, one.latest, one.versionTag, one.deletedVersions], [1, '2', {}, ['1']])
    await assert.rejects(on.deletion.deleteVersion(repository, 'rds://a', '1', 'bob'), (e) =>
      hasCode(e, 'VERSION_NOT_FOUND'),
    )
    await on.deletion.deleteVersion(repository, 'rds://a', '2', 'bob')
    assert.deepEqual(await livePaths(on, repository), [])
    await assert.rejects(on.packages.get(repository, 'rds://a'), (e) => hasCode(e, 'PACKAGE_NOT_FOUND'))
    await assert.rejects(on.deletion.deleteVersion(repository, 'rds://a', '2', 'bob'), (e) =>
      hasCode(e, 'PACKAGE_NOT_FOUND'),
    )
    const log = await db.read.selectFrom('change_log').select('op').where('op', '>', 3).orderBy('id').execute()
    assert.deepEqual(
      log.map(({ op }) => op),
      [4, 6, 4, 5, 6, 5, 7],
    )
    const stones = await db.read.selectFrom('tombstone').select('path').orderBy('path').execute()
    assert.equal(stones.length, 3 + 3)
    await assertSumsAgree(on, repository)
  })

  it('given a deleted version, when published again, then the format says whether its name is free', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const burn = async () => {
      await on.publish(repository, 'a', '1', { '/a/1': 'one' })
      await on.deletion.deleteVersion(repository, 'rds://a', '1', 'bob')
    }
    await burn()
    await assert.rejects(burn(), (e) => hasCode(e, 'VERSION_EXISTED') && e.message.includes('deleted'))
    const lenient = packageServices(db, { deleted: 'allow' })
    assert.equal((await lenient.publish(repository, 'a', '1', { '/a/1': 'one' })).outcome, 'created')
    await assertSumsAgree(on, repository)
  })

  it('given a package with more versions than a slice, when deleted, then all go and others stay', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    for (let at = 0; at < 60; at++) await on.publish(repository, 'a', `1.${at}`, { [`/a/${at}`]: 'x' })
    await on.publish(repository, 'b', '1', { '/b': 'b' })
    await on.deletion.deletePackage(repository, 'rds://a', 'bob')
    assert.deepEqual(await livePaths(on, repository), ['/b'])
    const page = await on.packages.page(repository, undefined, { pageNumber: 1, pageSize: 10 })
    assert.deepEqual(
      page.records.map(({ key }) => key),
      ['rds://b'],
    )
    await assert.rejects(on.deletion.deletePackage(repository, 'rds://a', 'bob'), (e) =>
      hasCode(e, 'PACKAGE_NOT_FOUND'),
    )
    await assertSumsAgree(on, repository)
  })

  it('given versions of many files, when the package is deleted, then a transaction takes some hundred files or one version', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    for (const [version, count] of [100, 100, 100, 300, 1].entries()) {
      const names = Array.from({ length: count }, (_, at) => [`/a/${version}/${at}`, 'x'])
      await on.publish(repository, 'a', `1.${version}`, Object.fromEntries(names))
    }
    await on.deletion.deletePackage(repository, 'rds://a', 'bob')
    assert.deepEqual(await livePaths(on, repository), [])
    const stones = await db.read.selectFrom('tombstone').select('hlc').where('path', 'like', '/a/%').execute()
    const slices = Map.groupBy(stones, ({ hlc }) => hlc)
    const sizes = [...slices.values()].map((slice) => slice.length)
    assert.deepEqual(
      sizes.sort((a, b) => a - b),
      [1, 100, 200, 300],
    )
    await assertSumsAgree(on, repository)
  })

  it('given a version, when its files are deleted, moved, overwritten or expire as nodes, then the version follows its main file', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    for (const name of ['1', '2', '3', '4', '5']) {
      await on.publish(repository, 'a', name, { [`/a/${name}/main`]: 'main', [`/a/${name}/part`]: 'part' })
    }
    await on.trees.delete(repository, path('/a/5/part'), 'bob', SIGNAL)
    assert.equal((await on.packages.getVersion(repository, 'rds://a', '5')).sizeBytes, 4)
    await on.trees.delete(repository, path('/a/4/main'), 'bob', SIGNAL)
    assert.deepEqual(await versionNames(on, repository), ['5', '3', '2', '1'])
    await on.trees.delete(repository, path('/a/3'), 'bob', SIGNAL)
    await on.trees.rename(repository, path('/a/2'), path('/elsewhere'), 'bob', SIGNAL)
    assert.deepEqual(await versionNames(on, repository), ['5', '1'])
    const write = fileWrite(on, '/a/1/main', 'other bytes')
    const before = await on.packages.getVersion(repository, 'rds://a', '1')
    await db.transact(async (trx) =>
      putFiles(trx, repository, [write], await lockLive(trx, repository.id, [write.path]), on.clock.now()),
    )
    const after = await on.packages.getVersion(repository, 'rds://a', '1')
    assert.equal(after.sizeBytes, 15)
    assert.notDeepEqual(after.contentLanes, before.contentLanes)
    assert.deepEqual(await livePaths(on, repository), [
      '/a/1/main',
      '/a/1/part',
      '/a/4/part',
      '/a/5/main',
      '/elsewhere/main',
      '/elsewhere/part',
    ])
    await assertSumsAgree(on, repository)
    await on.trees.delete(repository, path('/a'), 'bob', SIGNAL)
    assert.deepEqual((await on.packages.page(repository, undefined, { pageNumber: 1, pageSize: 1 })).totalRecords, 0)
    await assertSumsAgree(on, repository)
  })

  it('given packages, when the change log is read for replication of files, then it names nodes only', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    await on.publish(repository, 'a', '1', { '/a/1': 'one' })
    await on.deletion.deleteVersion(repository, 'rds://a', '1', 'bob')
    await numberChanges(db)
    const to = await headSeq(db.read, repository.id)
    const paths = await changedPaths(db.read, repository.id, { from: 0, to, ranges: [EVERY_PATH] })
    assert.deepEqual(paths, ['/a/1'])
  })

  it('given a deleted repository, when it is retired, then no row of a package is left', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const other = await makePackageRepository(on, 'other')
    for (const name of ['1', '2', '3']) await on.publish(repository, 'a', name, { [`/a/${name}`]: name })
    await on.deletion.deleteVersion(repository, 'rds://a', '3', 'bob')
    await on.publish(other, 'a', '1', { '/a': 'a' })
    await on.repositories.delete('demo', 'rds', 'with-content', 'bob')
    await on.retirement.run(SIGNAL)
    const left = async (table: 'package' | 'package_version' | 'version_file' | 'version_history') =>
      (await db.read.selectFrom(table).select('repo_id').execute()).map((row) => row.repo_id)
    assert.deepEqual(await left('package'), [other.id])
    assert.deepEqual(await left('package_version'), [other.id])
    assert.deepEqual(await left('version_file'), [other.id])
    assert.deepEqual(await left('version_history'), [])
  })

  it('given downloads, when they are flushed, then version and package count them, and the package keeps those of a deleted version', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const ids = []
    for (const name of ['1', '2'])
      ids.push((await on.publish(repository, 'a', name, { [`/a/${name}`]: name })).version.id)
    const raise = (error: unknown) => {
      throw error
    }
    const counts = createDownloadCounts({ db, clock: on.clock, onError: raise })
    for (const id of [ids[0]!, ids[0]!, ids[1]!, 999_999]) counts.note(id)
    await counts.flush()
    const downloadsOf = async (name: string) => (await on.packages.getVersion(repository, 'rds://a', name)).downloads
    assert.deepEqual([await downloadsOf('1'), await downloadsOf('2')], [2, 1])
    counts.note(ids[0]!)
    await counts.flush()
    await on.deletion.deleteVersion(repository, 'rds://a', '1', 'bob')
    assert.equal((await on.packages.get(repository, 'rds://a')).downloads, 4)
  })

  it('given metadata of a version, when saved, then entries merge, the row is logged and versions are found by it', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    for (const name of ['1', '2']) {
      const stageTags = name === '1' ? ['@release'] : []
      await on.publish(
        repository,
        'a',
        name,
        { [`/a/${name}`]: name },
        { stageTags, metadata: [{ key: 'k', value: 'v' }] },
      )
    }
    await on.packages.saveMetadata(repository, 'rds://a', '1', [{ key: 'n', value: { deep: [1] } }], 'bob')
    const filtered = async (metadata: { key: string; value: unknown }[], stageTags: string[] = []) => {
      const page = { pageNumber: 1, pageSize: 10 }
      const filter = { namePrefix: undefined, stageTags, metadata }
      const found = await on.packages.pageVersions(
        repository,
        'rds://a',
        filter,
        [{ key: 'name', direction: 'asc' }],
        page,
      )
      return found.records.map(({ name }) => name)
    }
    assert.deepEqual(await filtered([{ key: 'k', value: 'v' }]), ['1', '2'])
    assert.deepEqual(await filtered([{ key: 'n', value: { deep: [1] } }]), ['1'])
    assert.deepEqual(await filtered([{ key: 'k', value: 1 }]), [])
    assert.deepEqual(await filtered([], ['@release', '@other']), ['1'])
    const system = on.packages.saveMetadata(repository, 'rds://a', '1', [{ key: 'scanStatus', value: 1 }], 'bob')
    await assert.rejects(system, (e) => hasCode(e, 'METADATA_INVALID'))
    await assertSumsAgree(on, repository)
  })
})
