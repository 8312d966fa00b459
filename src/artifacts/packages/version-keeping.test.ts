import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { digestIs, keptRules } from '../../../test/helpers/kept-rules.ts'
import {
  logSums,
  makePackageRepository,
  type PackageServices,
  packageServices,
} from '../../../test/helpers/packages.ts'
import { hasCode } from '../../core/errors.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'

const KEY = 'rds://a'

async function livePaths({ db }: PackageServices, { id }: Repository): Promise<string[]> {
  const nodes = db.read.selectFrom('node').where('repo_id', '=', id).where('deleted_at', 'is', null)
  return (await nodes.where('folder', '=', 0).select('path').orderBy('path').execute()).map(({ path }) => path)
}
async function rows({ db }: PackageServices) {
  const found = db.read.selectFrom('package_version').select(['name', 'listed', 'digest', 'subject', 'size'])
  return (await found.orderBy('name').execute()).map(Object.values)
}
async function listed({ packages }: PackageServices, repository: Repository): Promise<string[]> {
  const filter = { namePrefix: undefined, stageTags: undefined, metadata: undefined }
  const page = await packages.pageVersions(repository, KEY, filter, [], { pageNumber: 1, pageSize: 100 })
  assert.equal(page.totalRecords, page.records.length)
  return page.records.map(({ name }) => name)
}
async function assertSumsAgree(on: PackageServices, repository: Repository): Promise<void> {
  const { logged, live } = await logSums(on, repository.id)
  assert.deepEqual(logged, live)
}
const FILES = { '/a/1': 'main', '/blobs/x': 'leaf' }

eachDatabase('versions that stay under their digest', (make) => {
  async function given(db: Awaited<ReturnType<typeof make>>) {
    const on = packageServices(db, keptRules)
    return { on, repository: await makePackageRepository(on) }
  }

  it('given versions that are not listed, when asked, then they are neither listed, nor counted, nor latest, nor remembered', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    await on.publish(repository, 'a', 'd:1', { '/d/1': 'one' }, digestIs('d:1', { subject: 'd:9' }))
    const before = await on.packages.get(repository, KEY)
    assert.deepEqual([before.versions, before.latest], [0, ''])
    await on.publish(repository, 'a', '1', FILES, digestIs('d:5'))
    await on.publish(repository, 'a', 'd:2', { '/d/2': 'two' }, digestIs('d:2'))
    const one = await on.packages.get(repository, KEY)
    assert.deepEqual([one.versions, one.latest], [1, '1'])
    assert.deepEqual(await listed(on, repository), ['1'])
    assert.deepEqual(await rows(on), [
      ['1', 1, 'd:5', null, 4],
      ['d:1', 0, 'd:1', 'd:9', 0],
      ['d:2', 0, 'd:2', null, 0],
    ])
    await assertSumsAgree(on, repository)
    await on.deletion.deleteVersion(repository, KEY, 'd:1', 'bob')
    await on.deletion.deleteVersion(repository, KEY, '1', 'bob')
    const left = await on.packages.get(repository, KEY)
    assert.deepEqual([left.versions, left.latest, left.deletedVersions], [0, '', ['1']])
    await assertSumsAgree(on, repository)
    await on.deletion.deletePackage(repository, KEY, 'bob')
    assert.deepEqual([await rows(on), await livePaths(on, repository)], [[], []])
    await assertSumsAgree(on, repository)
  })

  it('given a version, when another takes its name, then it stays with its files; with the same digest it does not', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    await on.publish(repository, 'a', '1', FILES, digestIs('d:1'))
    await on.publish(repository, 'a', '1', { '/a/1': 'main2' }, { ...digestIs('d:1', { x: 1 }), existing: 'replace' })
    assert.deepEqual(
      (await rows(on)).map(([name]) => name),
      ['1'],
    )
    await on.publish(repository, 'a', '1', FILES, { ...digestIs('d:2'), existing: 'replace' })
    await on.publish(repository, 'a', '1', { '/a/other': 'main3' }, { ...digestIs('d:3'), existing: 'replace' })
    assert.deepEqual(
      (await rows(on)).map(([name, , digest]) => [name, digest]),
      [
        ['1', 'd:3'],
        ['d:1', 'd:1'],
        ['d:2', 'd:2'],
      ],
    )
    assert.deepEqual(await livePaths(on, repository), ['/a/other', '/blobs/x', '/kept/d-1', '/kept/d-2'])
    const kept = await on.packages.getVersion(repository, KEY, 'd:2')
    assert.deepEqual(
      (await on.packages.filesOf(kept)).map(({ role, node }) => [role, node.path, node.sizeBytes]),
      [
        ['part', '/blobs/x', 4],
        ['main', '/kept/d-2', 4],
      ],
    )
    await assertSumsAgree(on, repository)
  })

  it('given a version without a digest, when another takes its name, then it goes', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    await on.publish(repository, 'a', '1', FILES)
    await on.publish(repository, 'a', '1', { '/a/1': 'main2' }, { existing: 'replace' })
    assert.deepEqual(await livePaths(on, repository), ['/a/1'])
  })

  it('given a version, when it is untagged, then it stays under its digest unless another has that, and the package stays', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    await on.publish(repository, 'a', '1', FILES, { ...digestIs('d:1'), package: { tags: ['stable'] } })
    await on.publish(repository, 'a', '2', { '/a/2': 'main', '/blobs/x': undefined }, digestIs('d:1'))
    await on.deletion.untag(repository, KEY, '1', 'bob')
    assert.deepEqual(await rows(on), [['2', 1, 'd:1', null, 4]])
    await on.deletion.untag(repository, KEY, '2', 'bob')
    assert.deepEqual(await rows(on), [['d:1', 0, 'd:1', null, 4]])
    assert.deepEqual(await livePaths(on, repository), ['/blobs/x', '/kept/d-1'])
    const one = await on.packages.get(repository, KEY)
    assert.deepEqual([one.versions, one.versionTag, one.deletedVersions], [0, {}, ['1', '2']])
    await assertSumsAgree(on, repository)
    await assert.rejects(on.deletion.untag(repository, KEY, '2', 'bob'), (e) => hasCode(e, 'VERSION_NOT_FOUND'))
  })

  it('given a digest, when it is deleted, then all its versions go and their blobs are loose; not while another needs it', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    for (const name of ['1', '2']) {
      await on.publish(
        repository,
        'a',
        name,
        { [`/a/${name}`]: 'main', '/blobs/x': name === '1' ? 'leaf' : undefined },
        digestIs('d:1'),
      )
    }
    await on.publish(repository, 'a', 'all', { '/a/all': 'index', '/a/2': undefined }, digestIs('d:0'))
    await assert.rejects(on.deletion.deleteDigest(repository, KEY, 'd:1', 'bob'), (e) => {
      assert.match(String(e), /version \[all\] of package \[rds:\/\/a\] names it/)
      return hasCode(e, 'METHOD_NOT_ALLOWED')
    })
    assert.equal((await rows(on)).length, 3)
    await on.deletion.deleteDigest(repository, KEY, 'd:0', 'bob')
    await on.deletion.deleteDigest(repository, KEY, 'd:1', 'bob')
    assert.deepEqual([await rows(on), await livePaths(on, repository)], [[], []])
    const loose = await db.read.selectFrom('loose_blob').select(['repo_id', 'image', 'name', 'size']).execute()
    assert.deepEqual(loose.map(Object.values), [[repository.id, 'a', 'x', 4]])
    await assert.rejects(on.deletion.deleteDigest(repository, KEY, 'd:1', 'bob'), (e) =>
      hasCode(e, 'PACKAGE_NOT_FOUND'),
    )
    await assertSumsAgree(on, repository)
  })

  it('given many who publish, untag and delete one digest at once, when they are done, then what is left is whole', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    const names = ['1', '2', '3', '4']
    for (const name of names) {
      await on.publish(
        repository,
        'a',
        name,
        { [`/a/${name}`]: 'main', '/blobs/x': name === '1' ? 'leaf' : undefined },
        digestIs('d:1'),
      )
    }
    const done = await Promise.allSettled([
      ...names.map((name) => on.deletion.untag(repository, KEY, name, 'bob')),
      on.publish(repository, 'a', '5', { '/a/5': 'main', '/blobs/x': 'leaf' }, digestIs('d:1')),
      on.deletion.deleteDigest(repository, KEY, 'd:1', 'bob'),
    ])
    for (const one of done) {
      if (one.status === 'rejected')
        assert.ok(hasCode(one.reason, 'VERSION_NOT_FOUND', 'PACKAGE_NOT_FOUND'), String(one.reason))
    }
    const left = await db.read.selectFrom('package_version').selectAll().execute()
    for (const version of left) {
      const files = await on.packages.filesOf(await on.packages.getVersion(repository, KEY, version.name))
      assert.deepEqual(
        files.map(({ role }) => role),
        ['part', 'main'],
      )
    }
    await assertSumsAgree(on, repository)
  })
})
