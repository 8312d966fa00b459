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
import { creationOrder } from '../../core/version-order.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { lockLive, putFiles } from '../nodes/node-writer.ts'

async function livePaths({ db }: PackageServices, { id }: Repository): Promise<string[]> {
  const rows = await db.read
    .selectFrom('node')
    .where('repo_id', '=', id)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .select('path')
    .orderBy('path')
    .execute()
  return rows.map((row) => row.path)
}
const put = (on: PackageServices, repository: Repository, place: string, text: string) =>
  on.db.transact(async (trx) => {
    const write = fileWrite(on, place, text)
    await putFiles(trx, repository, [write], await lockLive(trx, repository.id, [write.path]), on.clock.now())
  })
async function assertSumsAgree(on: PackageServices, repository: Repository): Promise<void> {
  const { logged, live } = await logSums(on, repository.id)
  assert.deepEqual(logged, live)
}
const refusals = (results: PromiseSettledResult<unknown>[]) =>
  results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))

eachDatabase('publishing', (make) => {
  it('given a version with two files, when published, then nodes, version, files and package are there, and logged', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const files = { '/a/1.0/a.rds': 'main', '/a/1.0/notes': 'some notes' }
    const package_ = { description: 'an a', tags: ['stable'], extension: { home: 'x' } }
    const { version, outcome } = await on.publish(repository, 'a', '1.0', files, {
      ...{ package: package_, metadata: [{ key: 'k', value: 1 }], tags: ['t'], stageTags: ['@release'] },
      extension: { doc: true },
    })
    assert.equal(outcome, 'created')
    assert.equal(version.sizeBytes, 14)
    assert.equal(version.artifactPath, '/a/1.0/a.rds')
    assert.deepEqual(await livePaths(on, repository), ['/a/1.0/a.rds', '/a/1.0/notes'])
    const read = await on.packages.getVersion(repository, 'rds://a', '1.0')
    assert.deepEqual(read, version)
    const parts = await on.packages.filesOf(read)
    assert.deepEqual(
      parts.map(({ role, node }) => [role, node.path]),
      [
        ['part', '/a/1.0/notes'],
        ['main', '/a/1.0/a.rds'],
      ],
    )
    const one = await on.packages.get(repository, 'rds://a')
    assert.deepEqual(
      [one.name, one.latest, one.versions, one.description, one.versionTag, one.extension],
      ['a', '1.0', 1, 'an a', { stable: '1.0' }, { home: 'x' }],
    )
    const log = await db.read.selectFrom('change_log').select(['op', 'path']).orderBy('id').execute()
    assert.deepEqual(log.map(({ op, path: at }) => `${op} ${at.replaceAll('\u0001', '|')}`).sort(), [
      '1 /a/1.0/a.rds',
      '1 /a/1.0/notes',
      '4 |pkg/rds://a|1.0',
      '6 |pkg/rds://a',
    ])
    await assertSumsAgree(on, repository)
  })

  it('given a version that is there, when published again, then the same is done already and another is VERSION_EXISTED', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    await on.publish(repository, 'a', '1.0', { '/a/1.0/a': 'x' })
    const again = await on.publish(repository, 'a', '1.0', { '/a/1.0/a': 'x' })
    assert.equal(again.outcome, 'unchanged')
    const others = [
      on.publish(repository, 'a', '1.0', { '/a/1.0/a': 'y' }),
      on.publish(repository, 'a', '1.0', { '/a/1.0/b': 'x' }),
      on.publish(repository, 'a', '1.0', { '/a/1.0/a': 'x' }, { metadata: [{ key: 'k', value: 1 }] }),
    ]
    for (const failure of refusals(await Promise.allSettled(others))) assert.ok(hasCode(failure, 'VERSION_EXISTED'))
    assert.equal(refusals(await Promise.allSettled(others)).length, 3)
    const strict = packageServices(db, { identical: 'refuse' })
    await assert.rejects(strict.publish(repository, 'a', '1.0', { '/a/1.0/a': 'x' }), (e) =>
      hasCode(e, 'VERSION_EXISTED'),
    )
    assert.deepEqual(await livePaths(on, repository), ['/a/1.0/a'])
    await assertSumsAgree(on, repository)
  })

  it('given a version that is replaced by one with other files, when published, then the old ones go and its downloads stay', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    await on.publish(repository, 'a', '1.0', { '/a/main': 'x', '/a/old': 'old', '/a/kept': 'kept' })
    await db.transact((trx) => trx.updateTable('package_version').set({ downloads: 7 }).execute())
    on.clock.advance(1_000)
    const files = { '/a/main': 'new', '/a/kept': 'kept', '/a/added': 'added' }
    const { version, outcome } = await on.publish(repository, 'a', '1.0', files, { existing: 'replace' })
    assert.equal(outcome, 'replaced')
    assert.deepEqual(await livePaths(on, repository), ['/a/added', '/a/kept', '/a/main'])
    assert.equal(version.sizeBytes, 12)
    const read = await on.packages.getVersion(repository, 'rds://a', '1.0')
    assert.equal(read.downloads, 7)
    assert.equal(read.modifiedAt - read.createdAt, 1_000)
    await assertSumsAgree(on, repository)
  })

  it('given a file in the way, when a version is published, then only an overwrite takes its place, and never from another version', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    await put(on, repository, '/a/x', 'plain')
    await assert.rejects(on.publish(repository, 'a', '1', { '/a/x': 'x' }), (e) => hasCode(e, 'NODE_EXISTED'))
    assert.equal((await on.publish(repository, 'a', '1', { '/a/x': 'plain' })).outcome, 'created')
    const over = on.publish(repository, 'a', '2', { '/a/x': 'x' }, { existing: 'replace' })
    await assert.rejects(over, (e) => hasCode(e, 'NODE_CONFLICT'))
    await assert.rejects(on.publish(repository, 'a', '3', { '/a/none': undefined }), (e) =>
      hasCode(e, 'NODE_NOT_FOUND'),
    )
    assert.deepEqual((await on.packages.get(repository, 'rds://a')).versions, 1)
    await assertSumsAgree(on, repository)
  })

  it('given a repository without packages, a strange key or a draft without a main file, when published, then it is refused', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const files = { '/a': 'x' }
    const generic = { ...repository, type: 'GENERIC' }
    await assert.rejects(on.publish(generic, 'a', '1', files), (e) => hasCode(e, 'METHOD_NOT_ALLOWED'))
    await assert.rejects(on.publish({ ...repository, category: 'VIRTUAL' }, 'a', '1', files), (e) =>
      hasCode(e, 'METHOD_NOT_ALLOWED'),
    )
    for (const [name, version] of [
      ['A B', '1'],
      ['a', ''],
      ['a', 'x'.repeat(256)],
      ['', '1'],
    ] as const) {
      await assert.rejects(on.publish(repository, name, version, files), (e) => hasCode(e, 'PARAMETER_INVALID'))
    }
    await assert.rejects(on.publish(repository, 'a', '1', {}), (e) => hasCode(e, 'PARAMETER_INVALID'))
    const system = { metadata: [{ key: 'forbidStatus', value: true }] }
    await assert.rejects(on.publish(repository, 'a', '1', files, system), (e) => hasCode(e, 'METADATA_INVALID'))
    assert.deepEqual(await livePaths(on, repository), [])
  })

  it('given 20 parallel publishes of one version with different bytes, when they race, then exactly one wins', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const race = Array.from({ length: 20 }, (_, at) =>
      // Half of them with files of their own: not the path decides, but the name.
      on.publish(repository, 'a', '1.0', { [at % 2 === 0 ? '/a/main' : `/a/main${at}`]: `bytes ${at}` }),
    )
    const failures = refusals(await Promise.allSettled(race))
    assert.equal(failures.length, 19)
    for (const failure of failures) assert.ok(hasCode(failure, 'VERSION_EXISTED'), String(failure))
    assert.equal((await livePaths(on, repository)).length, 1)
    assert.equal((await on.packages.get(repository, 'rds://a')).versions, 1)
    await assertSumsAgree(on, repository)
  })

  it('given 20 versions of one package published at once, when they race, then all survive, counted, and the highest is latest', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const names = Array.from({ length: 20 }, (_, at) => `1.${at}.0`)
    await Promise.all(names.map((name) => on.publish(repository, 'a', name, { [`/a/${name}`]: name })))
    const one = await on.packages.get(repository, 'rds://a')
    assert.equal(one.versions, 20)
    assert.equal(one.latest, '1.19.0')
    assert.equal((await livePaths(on, repository)).length, 20)
    await assertSumsAgree(on, repository)
  })

  it('given publishers, deleters and writers of shared files, when they race, then every version has all its files', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const work = Array.from({ length: 60 }, async (_, at) => {
      const version = `1.${at % 6}`
      if (at % 5 === 4) return on.deletion.deleteVersion(repository, 'rds://a', version, 'bob')
      if (at % 7 === 6) return on.trees.delete(repository, path('/a/shared'), 'bob', new AbortController().signal)
      const files = { [`/a/${version}/main`]: 'main', '/a/shared': 'shared', [`/a/${version}/own`]: `own ${at}` }
      return on.publish(repository, 'a', version, files, { existing: 'replace' })
    })
    for (const failure of refusals(await Promise.allSettled(work))) {
      const codes = ['PACKAGE_NOT_FOUND', 'VERSION_NOT_FOUND', 'NODE_NOT_FOUND', 'VERSION_EXISTED'] as const
      assert.ok(hasCode(failure, ...codes), String(failure))
    }
    const claims = await db.read.selectFrom('version_file').select('path').distinct().execute()
    const paths = claims.map((row) => path(row.path))
    assert.equal((await liveAt(db.read, repository.id, paths)).size, paths.length, 'no claim on a file that is gone')
    const versions = await db.read.selectFrom('package_version').select('id').execute()
    const [one] = await db.read.selectFrom('package').selectAll().execute()
    assert.equal(one?.versions ?? 0, versions.length)
    await assertSumsAgree(on, repository)
  })

  it('given versions out of order, prereleases and tags, when published, then latest is the tag, else the highest release', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const latestAfter = async (version: string, tags: readonly string[] = []) => {
      await on.publish(repository, 'a', version, { [`/a/${version}`]: version }, { package: { tags } })
      return (await on.packages.get(repository, 'rds://a')).latest
    }
    assert.equal(await latestAfter('2.0.0-rc.1'), '2.0.0-rc.1')
    assert.equal(await latestAfter('1.9.0'), '1.9.0')
    assert.equal(await latestAfter('1.10.0'), '1.10.0')
    assert.equal(await latestAfter('1.2.0'), '1.10.0')
    assert.equal(await latestAfter('1.2.1', ['latest']), '1.2.1')
    assert.equal(await latestAfter('2.0.0'), '1.2.1')
    await on.packages.saveTags(repository, 'rds://a', { latest: null, old: '1.2.0' }, 'bob')
    const one = await on.packages.get(repository, 'rds://a')
    assert.deepEqual([one.latest, one.versionTag, one.modifiedBy], ['2.0.0', { old: '1.2.0' }, 'bob'])
    const absent = on.packages.saveTags(repository, 'rds://a', { latest: '9' }, 'bob')
    await assert.rejects(absent, (e) => hasCode(e, 'VERSION_NOT_FOUND'))
    await assertSumsAgree(on, repository)
  })

  it('given a type that orders by creation, when its versions are listed, then the newest is first and latest', async () => {
    await using db = await make()
    const on = packageServices(db, { orderOf: creationOrder })
    const repository = await makePackageRepository(on)
    for (const name of ['9.0', '1.0', 'nightly']) {
      await on.publish(repository, 'a', name, { [`/a/${name}`]: name })
      on.clock.advance(1_000)
    }
    await on.publish(repository, 'a', '9.0', { '/a/9.0': 'moved' }, { existing: 'replace' })
    const filter = { namePrefix: undefined, stageTags: undefined, metadata: undefined }
    const page = await on.packages.pageVersions(repository, 'rds://a', filter, [], { pageNumber: 1, pageSize: 10 })
    assert.deepEqual(
      page.records.map(({ name }) => name),
      ['nightly', '1.0', '9.0'],
    )
    assert.equal((await on.packages.get(repository, 'rds://a')).latest, 'nightly')
  })
})
