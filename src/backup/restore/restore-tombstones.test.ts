import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { selector } from '../../../test/helpers/backup-activity.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { makePackageRepository } from '../../../test/helpers/packages.ts'
import type { ReadableBackup } from '../../../test/helpers/restore-activity.ts'
import { restoreSite } from '../../../test/helpers/restore-site.ts'
import type { TombstoneDocument } from '../records/documents.ts'

const DAY = 86_400_000

eachDatabase('deletions of a backup', (make) => {
  /** A server that has restored what another had, which goes on three days later. */
  async function pair(
    fill: (source: Awaited<ReturnType<typeof restoreSite>>) => Promise<void>,
    targetProjectId?: string,
  ) {
    const source = await restoreSite(make)
    const target = await restoreSite(make)
    await fill(source)
    await target.clock.advance(DAY)
    const full = await source.backUp({ content: { projects: [selector({ projectRegex: 'demo' })] } })
    await target.restore(full, targetProjectId === undefined ? {} : { setting: { targetProjectId } })
    await source.clock.advance(3 * DAY)
    await target.clock.advance(3 * DAY)
    const [atThat, by] = [new Date(source.clock.now()).toISOString(), 'alice']
    return {
      ...{ source, target },
      /** With these deletions, whatever the backup saw itself. */
      ending(backup: ReadableBackup, ...ended: readonly Partial<TombstoneDocument>[]): ReadableBackup {
        const place = { projectId: 'demo', repoName: 'files', deletedBy: by, deletedDate: atThat }
        const lines = ended.map((one) => `${JSON.stringify({ ...place, ...one })}\n`)
        return { ...backup, files: new Map([...backup.files, ['tombstone.json', lines.join('')]]) }
      },
      async [Symbol.asyncDispose]() {
        await source[Symbol.asyncDispose]()
        await target[Symbol.asyncDispose]()
      },
    }
  }

  for (const folder of [false, undefined]) {
    it(`given a file that became a folder (tombstone: ${folder}), when the increment is restored, twice, then it is one here, too`, async () => {
      await using both = await pair(async (source) => source.upload(await makeRepository(source), '/a', 'file'))
      const { source, target, ending } = both
      const files = (await source.repositories.find('demo', 'files'))!
      await source.remove(files, '/a')
      await source.clock.advance(1_000)
      await source.upload(files, '/a/b', 'below')
      const increment = ending(await source.backUp({ content: { increment: true } }), {
        ...{ kind: 'NODE', fullPath: '/a' },
        ...(folder === undefined ? {} : { folder }),
      })
      const rehearsal = await target.restore(increment, { setting: { dryRun: true } })
      assert.deepEqual([rehearsal.result, rehearsal.errorReason], ['SUCCESS', null])
      assert.deepEqual(await target.live(), ['files/a'])
      for (const _ of ['once', 'twice']) {
        const { result, errorReason } = await target.restore(increment)
        assert.deepEqual([result, errorReason], ['SUCCESS', null])
        assert.deepEqual(await target.live(), ['files/a', 'files/a/b'])
      }
    })
  }

  it('given a folder that became a file of the same moment, when the increment is restored, twice, then it is one here, too', async () => {
    await using both = await pair(async (source) => source.upload(await makeRepository(source), '/f/x', 'x'))
    const { source, target, ending } = both
    const files = (await source.repositories.find('demo', 'files'))!
    await source.remove(files, '/f/x')
    await source.db.transact((trx) =>
      trx
        .updateTable('node')
        .set({ deleted_at: source.clock.now(), deleted_by: 'alice' })
        .where('path', '=', '/f')
        .execute(),
    )
    await source.upload(files, '/f', 'file', { modifiedAt: source.clock.now() - DAY })
    const increment = ending(
      await source.backUp({ content: { increment: true } }),
      { kind: 'NODE', fullPath: '/f/x', folder: false },
      { kind: 'NODE', fullPath: '/f', folder: true },
    )
    for (const _ of ['once', 'twice']) {
      const { result, errorReason } = await target.restore(increment)
      assert.deepEqual([result, errorReason], ['SUCCESS', null])
      assert.deepEqual(await target.live(), ['files/f'])
    }
  })

  it('given a file that was made here after the deletion, where the backup has a folder, when restored, then it stays and is told of', async () => {
    await using both = await pair(async (source) => source.upload(await makeRepository(source), '/a', 'file'))
    const { source, target, ending } = both
    const files = (await source.repositories.find('demo', 'files'))!
    await source.remove(files, '/a')
    await source.upload(files, '/a/b', 'below')
    await target.clock.advance(1_000)
    await target.upload((await target.repositories.find('demo', 'files'))!, '/a', 'newer')
    const increment = await source.backUp({ content: { increment: true } })
    const { result } = await target.restore(ending(increment, { kind: 'NODE', fullPath: '/a', folder: false }))
    assert.equal(result, 'PARTIAL')
    assert.deepEqual(await target.live(), ['files/a'])
  })

  it('given a package that ended, when it has a version here that is newer, then that one stays', async () => {
    await using both = await pair(async (source) => {
      await source.publish(await makePackageRepository(source), 'tool', '1.0', { '/tool/1.0/tool.tgz': 'first' })
    })
    const { source, target, ending } = both
    const place = { repoName: 'rds', packageKey: 'rds://tool' }
    await source.deletion.deleteVersion((await source.repositories.find('demo', 'rds'))!, 'rds://tool', '1.0', 'alice')
    const increment = ending(
      await source.backUp({ content: { increment: true } }),
      { kind: 'VERSION', version: '1.0', ...place },
      { kind: 'PACKAGE', ...place },
    )
    const there = { ...(await target.repositories.find('demo', 'rds'))!, type: 'RDS' as const }
    await target.clock.advance(1_000)
    await target.publish(there, 'tool', '9.0', { '/tool/9.0/tool.tgz': 'ninth' })
    assert.equal((await target.restore(increment)).result, 'SUCCESS')
    const versions = await target.db.read.selectFrom('package_version').select('name').execute()
    assert.deepEqual(
      versions.map(({ name }) => name),
      ['9.0'],
    )
    await target.deletion.deleteVersion(there, 'rds://tool', '9.0', 'alice')
    assert.deepEqual(await target.db.read.selectFrom('package').select('id').execute(), [])
  })

  it('given a target project, when a repository of another project ended, then the one of that name in the target stays', async () => {
    await using both = await pair(async (source) => {
      await source.upload(await makeRepository(source), '/one.txt', 'one')
    }, 'scratch')
    const { source, target, ending } = both
    const increment = ending(await source.backUp({ content: { increment: true } }), {
      ...{ kind: 'REPOSITORY', projectId: 'other' },
    })
    const { result } = await target.restore(increment, { setting: { targetProjectId: 'scratch' } })
    assert.equal(result, 'SUCCESS')
    assert.deepEqual(await target.live(), ['files/one.txt'])
    const own = ending(increment, { kind: 'NODE', fullPath: '/one.txt', folder: false })
    await target.restore(own, { setting: { targetProjectId: 'scratch' } })
    assert.deepEqual(await target.live(), [])
  })
})
