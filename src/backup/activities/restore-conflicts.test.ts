import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { logSums, makePackageRepository } from '../../../test/helpers/packages.ts'
import { deletedOf, filledSite, found, restoredContents, restoreSite } from '../../../test/helpers/restore-site.ts'

eachDatabase('restores over what is there', (make) => {
  it('case 17: given other bytes at a path, when restored with SKIP and OVERWRITE, then they are kept and not imported, or replaced', async () => {
    const { site, repository } = await filledSite(make)
    await using source = site
    await source.upload(repository, '/clash.txt', 'theirs')
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    await target.upload(await makeRepository(target), '/clash.txt', 'ours')
    const contentAt = async () => (await target.nodes.get(await found(target), path('/clash.txt'))).digest

    const skipped = await target.restore(backup, { setting: { conflictStrategy: 'SKIP' } })
    assert.equal(skipped.result, 'SUCCESS')
    assert.equal(await contentAt(), digestOf('ours'))
    assert.ok(!skipped.opened.includes(digestOf('theirs')))
    assert.ok(skipped.run.progress.now.skipped >= 3)

    await target.restore(backup)
    assert.equal(await contentAt(), digestOf('theirs'))
    assert.deepEqual(await deletedOf(target.db), ['/clash.txt'])
    const { logged, live } = await logSums(target, (await found(target)).id)
    assert.deepEqual(logged, live)
  })

  it('case 33: given a repository of another type, when restored, then it is an error entry and the repository is untouched', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    await makePackageRepository(target, 'files')
    const before = await found(target)
    const { result, report } = await target.restore(backup)
    assert.equal(result, 'PARTIAL')
    const [error, ...others] = report!.errors as { path: string; reason: string }[]
    assert.deepEqual([error!.path, others.length], ['demo/files', 0])
    assert.match(error!.reason, /type RDS.*type GENERIC/)
    assert.deepEqual(await found(target), before)
    assert.equal(
      (await target.db.read.selectFrom('node').select('id').where('repo_id', '=', before.id).execute()).length,
      0,
    )
  })

  it('case 22: given a chain of a full backup and an increment, when restored, then what was deleted is gone with OVERWRITE and stays with SKIP', async () => {
    const { site, repository, rds } = await filledSite(make)
    await using source = site
    const full = await source.backUp()
    await source.clock.advance(3 * 86_400_000)
    await source.remove(repository, '/a/one.txt')
    await source.upload(repository, '/a/b/two.txt', 'changed')
    await source.publish(rds, 'tool', '3.0', { '/tool/3.0/tool.tgz': 'third' })
    await source.deletion.deleteVersion(rds, 'rds://tool', '1.0', 'alice')
    await source.clock.advance(1)
    const increment = await source.backUp({ content: { increment: true } })
    for (const conflictStrategy of ['OVERWRITE', 'SKIP'] as const) {
      await using target = await restoreSite(make)
      await target.clock.advance(4 * 86_400_000)
      await target.restore(full, { setting: { conflictStrategy } })
      const { result, errorReason } = await target.restore(increment, { setting: { conflictStrategy } })
      assert.deepEqual([result, errorReason], ['SUCCESS', null])
      // When the package lost its tag is another moment here.
      for (const { db } of [source, target])
        await db.transact((trx) => trx.updateTable('package').set({ modified_at: 1 }).execute())
      if (conflictStrategy === 'OVERWRITE')
        assert.deepEqual(await restoredContents(target.db), await restoredContents(source.db))
      else {
        const kept = await target.nodes.find(await found(target), path('/a/one.txt'))
        assert.equal(kept?.digest, digestOf('same'))
        const [repo, key] = [await found(target, 'rds'), 'rds://tool'] as const
        const versions = await target.db.read.selectFrom('package_version').select('name').orderBy('name').execute()
        assert.deepEqual([repo.type, key, versions.map(({ name }) => name)], ['RDS', key, ['1.0', '2.0', '3.0']])
      }
    }
  })

  it('given a version whose file has other bytes here, when restored, then the file and the version change in one transaction', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    const rds = await makePackageRepository(target)
    await target.publish(rds, 'tool', '1.0', { '/tool/1.0/tool.tgz': 'another', '/tool/1.0/old': 'old' })
    const { result, errorReason } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    const { nodes } = (await restoredContents(target.db)) as { nodes: unknown[] }
    assert.deepEqual(nodes.length, ((await restoredContents(source.db)) as { nodes: unknown[] }).nodes.length)
    const { logged, live } = await logSums(target, rds.id)
    assert.deepEqual(logged, live)
    const [version] = await target.db.read.selectFrom('package_version').where('name', '=', '1.0').selectAll().execute()
    assert.deepEqual([version!.size, version!.downloads], [8, 7])
  })

  it('given a file that is kept with other bytes, when a version needs it and SKIP is asked for, then the version is an error entry', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    const rds = await makePackageRepository(target)
    await target.upload(rds, '/tool/1.0/tool.tgz', 'ours')
    const { result, report } = await target.restore(backup, { setting: { conflictStrategy: 'SKIP' } })
    assert.equal(result, 'PARTIAL')
    const [error, ...others] = report!.errors as { path: string; reason: string }[]
    assert.deepEqual([error!.path, others], ['demo/rds: rds://tool 1.0', []])
    assert.match(error!.reason, /\/tool\/1\.0\/tool\.tgz\] has other content here/)
    const [made, ...more] = await target.db.read.selectFrom('package').selectAll().execute()
    assert.deepEqual([made!.latest, made!.versions, made!.version_tag, more.length], ['2.0', 1, '{}', 0])
  })
})
