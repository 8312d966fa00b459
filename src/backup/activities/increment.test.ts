import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { type BackupWanted, selector } from '../../../test/helpers/backup-activity.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { makePackageRepository } from '../../../test/helpers/packages.ts'
import type { ReadableBackup } from '../../../test/helpers/restore-activity.ts'
import { restoreSite } from '../../../test/helpers/restore-site.ts'
import { putFolderCopies } from '../../artifacts/nodes/folder-copies.ts'
import { deleteFiles, lockLive, putFolders } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'

const DAY_MS = 86_400_000
const INCREMENT: BackupWanted = { content: { increment: true } }
const IN_PARTS: BackupWanted = { setting: { layout: 'REPOSITORY' } }

const recordsOf = ({ files }: ReadableBackup, file: string): Record<string, unknown>[] =>
  (files.get(file) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const pathsOf = (backup: ReadableBackup, file = 'demo/files/node.json') =>
  recordsOf(backup, file).map(({ fullPath }) => fullPath)

type Site = Awaited<ReturnType<typeof restoreSite>>

/** As a tree is deleted: dated when that began. */
async function removeAsOf({ db, hlc }: Site, repository: Repository, name: string, at: number): Promise<void> {
  await db.transact(async (trx) => {
    const rows = await lockLive(trx, repository.id, [path(name)])
    const deletion = { by: 'alice', at, hlc: hlc.next(), origin: 0, viaLink: null }
    await deleteFiles(trx, repository, [...rows.values()], deletion)
  })
}

eachDatabase('increments', (make) => {
  /** Restores all of them, in order, into another server. */
  async function restored(backups: readonly ReadableBackup[]): Promise<string[]> {
    await using target = await restoreSite(make)
    await target.clock.advance(10 * DAY_MS)
    for (const backup of backups) assert.equal((await target.restore(backup)).result, 'SUCCESS')
    return await target.live()
  }

  it('given a night that begins a second later than the one before, when what was written in between is looked for, then it is there', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.upload(repository, '/a.txt', 'a')
    await site.clock.advance(3 * DAY_MS)
    await site.backUp(INCREMENT)
    await site.clock.advance(500)
    await site.upload(repository, '/between.txt', 'between')
    await site.clock.advance(DAY_MS + 500)
    assert.deepEqual(pathsOf(await site.backUp(INCREMENT)), ['/between.txt'])
    // Four nights are missed.
    await site.upload(repository, '/missed.txt', 'missed')
    await site.clock.advance(4 * DAY_MS)
    const late = await site.backUp(INCREMENT)
    assert.deepEqual(pathsOf(late), ['/missed.txt'])
    assert.ok(late.manifest!.fromSeq! < late.manifest!.snapshotSeq)
  })

  it('given a deletion that began before the full run and ended after it, when both are restored, then the file is gone', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.upload(repository, '/a.txt', 'a')
    await site.upload(repository, '/b.txt', 'b')
    await site.clock.advance(1_000)
    const began = site.clock.now()
    await site.clock.advance(1_000)
    const full = await site.backUp()
    await removeAsOf(site, repository, '/a.txt', began)
    await site.clock.advance(3 * DAY_MS)
    const increment = await site.backUp(INCREMENT)
    assert.deepEqual(await restored([full, increment]), await site.live())
  })

  it('given an increment with a date of its own, when changes since the run before are older, then they are in it as well', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.upload(repository, '/old.txt', 'old')
    await site.clock.advance(DAY_MS)
    await site.backUp()
    await site.clock.advance(DAY_MS)
    await site.upload(repository, '/a.txt', 'a')
    await site.clock.advance(DAY_MS)
    const date = site.clock.now()
    await site.upload(repository, '/b.txt', 'b')
    await site.clock.advance(DAY_MS)
    const since = { increment: true, incrementDate: new Date(date).toISOString() }
    const increment = await site.backUp({ content: since })
    assert.deepEqual(pathsOf(increment), ['/a.txt', '/b.txt'])
    assert.equal(increment.manifest!.since, new Date(date).toISOString())
    // Others of the name, which say nothing of this repository.
    const projects = [selector({ projectId: 'other' })]
    await site.backUp({ content: { ...since, projects } })
    assert.deepEqual(pathsOf(await site.backUp({ content: since })), ['/b.txt'])
  })

  it('given a repository that was deleted and made again, when full run and increment are restored, then its old files are gone', async () => {
    await using site = await restoreSite(make)
    await site.upload(await makeRepository(site), '/old.txt', 'old')
    const full = await site.backUp()
    await site.clock.advance(3 * DAY_MS)
    await site.repositories.delete('demo', 'files', 'with-content', 'alice')
    await site.clock.advance(1_000)
    await site.upload(await makeRepository(site), '/new.txt', 'new')
    await site.clock.advance(1_000)
    const increment = await site.backUp(INCREMENT)
    assert.deepEqual(await restored([full, increment]), ['files/new.txt'])
    assert.deepEqual(await restored([full, increment, increment]), ['files/new.txt'])
  })

  it('given a file that became a folder, and a folder that became a file, when backed up, then the end of each is told', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.upload(repository, '/a', 'file')
    await site.upload(repository, '/b/x.txt', 'x')
    const full = await site.backUp()
    await site.clock.advance(3 * DAY_MS)
    for (const gone of ['/a', '/b/x.txt']) await removeAsOf(site, repository, gone, site.clock.now())
    await site.db.transact((trx) =>
      trx
        .updateTable('node')
        .set({ deleted_at: site.clock.now(), deleted_by: 'alice' })
        .where('path', '=', '/b')
        .execute(),
    )
    await site.clock.advance(1_000)
    await site.upload(repository, '/a/below.txt', 'below')
    await site.upload(repository, '/b', 'file')
    const increment = await site.backUp(INCREMENT)
    assert.deepEqual(
      recordsOf(increment, 'tombstone.json').map(({ fullPath, folder }) => [fullPath, folder]),
      [
        ['/a', false],
        ['/b/x.txt', false],
        ['/b', true],
      ],
    )
    assert.deepEqual(await restored([full, increment]), ['files/a', 'files/a/below.txt', 'files/b'])
  })

  it('given a folder that came with an old date, when an increment is made, then it is in it with its metadata', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.clock.advance(10 * DAY_MS)
    const folder = { path: path('/copied'), metadata: [], createdBy: 'x', createdAt: 1, modifiedBy: 'x', modifiedAt: 1 }
    await site.db.transact(async (trx) => {
      await lockLive(trx, repository.id, [folder.path])
      await putFolderCopies(trx, repository, [folder], 'x', site.clock.now(), site.hlc.next())
    })
    assert.deepEqual(pathsOf(await site.backUp(INCREMENT)), ['/copied'])
  })

  it('given many folders that were deleted, when full run and increment are restored, then none is left', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    const inside = Array.from({ length: 1_100 }, (_, n) => `/d/${String(n).padStart(4, '0')}`)
    const folders = ['/d', ...inside].map(path)
    const { db, clock, hlc } = site
    await db.transact((trx) => putFolders(trx, repository, folders, 'x', clock.now(), hlc.next()))
    const full = await site.backUp()
    await clock.advance(3 * DAY_MS)
    await db.transact((trx) =>
      trx.updateTable('node').set({ deleted_at: clock.now(), deleted_by: 'a' }).where('folder', '=', 1).execute(),
    )
    const increment = await site.backUp(INCREMENT)
    const told = recordsOf(increment, 'tombstone.json').map(({ fullPath }) => fullPath)
    assert.deepEqual([told.length, told[0], told.at(-1)], [1_101, '/d/1099', '/d'])
    assert.deepEqual(await restored([full, increment]), [])
  })

  it('given a database that was put back to an earlier state, when backed up, then no part is kept, and an increment says so', async () => {
    await using site = await restoreSite(make)
    const repository = await makeRepository(site)
    for (const name of ['/a.txt', '/b.txt', '/c.txt']) await site.upload(repository, name, name)
    const base = await site.backUp(IN_PARTS)
    await site.backUp()
    // Other changes have the numbers of those that the base has seen.
    await site.db.transact(async (trx) => {
      await trx.deleteFrom('node').where('path', '=', '/c.txt').execute()
      await trx
        .updateTable('change_log')
        .set({ at: site.clock.now() + 1 })
        .where('path', '=', '/c.txt')
        .execute()
    })
    assert.deepEqual(pathsOf(base), ['/a.txt', '/b.txt', '/c.txt'])
    assert.deepEqual(pathsOf(await site.backUp(IN_PARTS)), ['/a.txt', '/b.txt'])
    await site.clock.advance(1_000)
    const reasonOf = async (wanted?: BackupWanted) => (await site.backups.backUp(wanted)).errorReason
    assert.match((await reasonOf(INCREMENT))!, /put back to an earlier state/)
    assert.equal(await reasonOf(), null)
    assert.equal(await reasonOf(INCREMENT), null)
  })

  it('given a repository in parts, when only the downloads of a package changed, then its record is read again', async () => {
    await using site = await restoreSite(make)
    const rds = await makePackageRepository(site)
    await site.publish(rds, 'tool', '1.0', { '/tool/1.0/tool.tgz': 'first' })
    await site.backUp(IN_PARTS)
    await site.db.transact((trx) => trx.updateTable('package').set({ downloads: 99 }).execute())
    const [tool] = recordsOf(await site.backUp(IN_PARTS), 'demo/rds/package.json')
    assert.equal(tool!.downloads, 99)
  })
})
