import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { fileWrite, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { type BackupWanted, backupsOf, selector } from '../../../test/helpers/backup-activity.ts'
import { digestOf, streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase, type MakeDatabase } from '../../../test/helpers/databases.ts'
import { recordsIn } from '../../../test/helpers/memory-backups.ts'
import { makePackageRepository, packageServices } from '../../../test/helpers/packages.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { createBlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import { collectGarbage, purgeDeletedNodes } from '../../artifacts/blobs/garbage-collection.ts'
import { deleteFiles, lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import type { Digest } from '../../core/digest.ts'
import { parseDigest } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import { createSegmentIndex } from '../../metadata/storage/segment-index.ts'
import { createMemoryBlobStore } from '../../storage/memory/blob-store.ts'
import type { BackupWriter } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'

const DAY_MS = 86_400_000
const REPOSITORY: BackupWanted = { setting: { layout: 'REPOSITORY' } }
const signal = new AbortController().signal

async function makeSite(make: MakeDatabase) {
  const db = await make()
  const dir = await tempDir()
  const services = packageServices(db)
  const { clock, hlc } = services
  const blobs = new Map<Digest, Buffer>()
  const store = createMemoryBlobStore(blobs, createSegmentIndex({ db, clock }))
  const intake = createBlobIntake({ db, store, clock })
  const repository = await makeRepository(services)
  const workFolder = dir.file('work')
  return {
    ...services,
    ...{ blobs, store, repository, workFolder },
    backups: backupsOf({ db, store, clock, workFolder }),
    async upload(files: Readonly<Record<string, string>>, into: Repository = repository): Promise<void> {
      for (const [name, text] of Object.entries(files)) {
        await using staged = await store.receive(streamOf(text), {}, signal)
        await intake.prepare([staged], signal)
        await db.transact(async (trx) => {
          const current = await lockLive(trx, into.id, [path(name)])
          await intake.claim(trx, [staged], signal)
          await putFiles(trx, into, [fileWrite(services, name, text)], current, clock.now())
        })
      }
    },
    async remove(name: string): Promise<void> {
      await db.transact(async (trx) => {
        const rows = await lockLive(trx, repository.id, [path(name)])
        const deletion = { by: 'alice', at: clock.now(), hlc: hlc.next(), origin: 0, viaLink: null }
        await deleteFiles(trx, repository, [...rows.values()], deletion)
      })
    },
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

function changeWriter(layouts: Pick<Layouts, 'openWriter'>, change: Partial<BackupWriter>): void {
  const { openWriter } = layouts
  const changed: Layouts['openWriter'] = async (...given) => Object.assign(await openWriter(...given), change)
  Object.assign(layouts, { openWriter: changed })
}

eachDatabase('a run of backup', (make) => {
  it('case 11: given three files, two of equal content, when they are backed up, then there are three records and two contents', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/a/one.txt': 'same', '/a/two.txt': 'same', '/three.txt': 'other' })
    const { result, errorReason, run } = await site.backups.backUp()
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    const [backup] = site.backups.runs
    const nodes = recordsIn(backup!, 'demo/files/node.json')
    assert.deepEqual(
      nodes.map(({ fullPath }) => fullPath),
      ['/a', '/a/one.txt', '/a/two.txt', '/three.txt'],
    )
    assert.deepEqual(new Set(site.backups.contents.keys()), new Set([digestOf('same'), digestOf('other')]))
    const [folder, file] = nodes
    assert.equal(folder!.sha256, null)
    assert.deepEqual([file!.path, file!.name, file!.size], ['/a/', 'one.txt', 4])
    assert.equal(parseDigest(String(file!.sha256)), digestOf('same'))
    assert.equal(recordsIn(backup!, 'demo/files/project.json')[0]!.name, 'demo')
    assert.equal(recordsIn(backup!, 'demo/files/repository.json')[0]!.used, 13)
    assert.deepEqual([backup!.files.get('demo/files/package.json'), backup!.files.get('tombstone.json')], ['', ''])
    const { nodes: counted, repos, projects, bytes } = run.progress.now
    assert.deepEqual([counted, repos, projects, bytes], [4, 1, 1, 9])
    await assert.rejects(readdir(`${site.workFolder}/${run.id}`), { code: 'ENOENT' })
  })

  it('case 14 and 15: given three projects, when selectors choose, then these repositories are in the backup, each once', async () => {
    await using site = await makeSite(make)
    for (const name of ['p1/r1', 'p10/r1', 'p2/r1', 'p2/r2']) await makeRepository(site, name)
    const chosen = async (...given: Parameters<typeof selector>[0][]) => {
      await site.backups.backUp({ content: { projects: given.map(selector) } })
      return site.backups.runs
        .at(-1)!
        .manifest.repositories.map(({ projectId, repoName }) => `${projectId}/${repoName}`)
    }
    assert.deepEqual(await chosen({ projectRegex: 'p1' }), ['p1/r1'])
    assert.deepEqual(await chosen({ projectRegex: 'p1*' }, { projectId: 'p1' }), ['p1/r1', 'p10/r1'])
    assert.deepEqual(await chosen({ excludeProjects: ['p2'], excludeRepos: ['r1'] }), ['demo/files'])
    assert.deepEqual(await chosen({ projectId: 'p2', repoList: ['r2'], excludeProjects: ['p2'] }), ['p2/r2'])
  })

  it('case 4: given common data and a proxy, when they are backed up, then secrets are packed, and without projects there is no more', async () => {
    await using site = await makeSite(make)
    const common = {
      path: 'user.json',
      async *read() {
        yield { userId: 'anna' }
      },
      restoring: () => ({}),
    }
    const backups = backupsOf({ ...site, commonFiles: [common] })
    await site.db.transact((trx) =>
      trx
        .insertInto('proxy_secret')
        .values({ repo_id: site.repository.id, slot: 'credentials', secret: 'v1' })
        .execute(),
    )
    await backups.backUp({ content: { commonData: true } })
    const [both] = backups.runs
    assert.deepEqual(recordsIn(both!, 'demo/files/repository.json')[0]!.secrets, {
      credentials: `repository/${site.repository.id}/credentials: v1`,
    })
    assert.deepEqual(recordsIn(both!, 'user.json'), [{ userId: 'anna' }])
    const { errorReason } = await backups.backUp({ content: { commonData: true, projects: [] } })
    assert.equal(errorReason, null)
    assert.deepEqual([...backups.runs[1]!.files.keys()], ['user.json'])
  })

  it('given an increment from before the change log, when it is made, then it says so', async () => {
    await using site = await makeSite(make)
    await site.clock.advance(30 * DAY_MS)
    await site.upload({ '/new.txt': 'new' })
    await site.db.transact((trx) => trx.updateTable('repository').set({ floor_seq: 1 }).execute())
    const since = (days: number) => new Date(site.clock.now() - days * DAY_MS).toISOString()
    const made = (incrementDate: string) => site.backups.backUp({ content: { increment: true, incrementDate } })
    assert.match((await made(since(20))).errorReason!, /older than the change log/)
    await site.clock.advance(DAY_MS)
    assert.equal((await made(since(0.5))).errorReason, null)
  })

  it('given nothing that is selected, when it is backed up, then it is a success with zeros and says so', async () => {
    await using site = await makeSite(make)
    const { result, errorReason, run } = await site.backups.backUp({
      content: { projects: [selector({ projectId: 'nothing' })] },
    })
    assert.equal(result, 'SUCCESS')
    assert.match(errorReason!, /No repository was selected/)
    assert.deepEqual([run.progress.now.repos, run.progress.now.bytes], [0, 0])
  })

  it('case 20 and 21: given an old and a new file, when the backup is incremental, then only the new one is in it', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/old.txt': 'old' })
    await site.clock.advance(3 * DAY_MS)
    await site.upload({ '/new.txt': 'new' })
    const paths = async (increment: boolean | null) => {
      await site.backups.backUp({ content: { increment } })
      return recordsIn(site.backups.runs.at(-1)!, 'demo/files/node.json').map(({ fullPath }) => fullPath)
    }
    assert.deepEqual(await paths(true), ['/new.txt'])
    const { manifest, files } = site.backups.runs.at(-1)!
    assert.equal(manifest.since, new Date(site.clock.now() - DAY_MS).toISOString())
    assert.equal(typeof manifest.fromSeq, 'number')
    assert.ok(files.get('demo/files/project.json') !== '' && files.get('demo/files/repository.json') !== '')
    assert.deepEqual(await paths(false), ['/new.txt', '/old.txt'])
    assert.deepEqual(await paths(null), ['/new.txt', '/old.txt'])
  })

  it('case 22: given deletions and a version of an old package, when the backup is incremental, then both are in it', async () => {
    await using site = await makeSite(make)
    const rds = await makePackageRepository(site)
    await site.publish(rds, 'lib', '1.0', { '/lib/1.0.tgz': 'one' })
    await site.publish(rds, 'gone', '1.0', { '/gone/1.0.tgz': 'gone' })
    await site.upload({ '/a/deleted.txt': 'a', '/kept.txt': 'kept', '/again.txt': 'again' })
    await makeRepository(site, 'demo/removed')
    await site.clock.advance(3 * DAY_MS)
    await site.publish(rds, 'lib', '2.0', { '/lib/2.0.tgz': 'two' })
    await site.deletion.deletePackage(rds, 'rds://gone', 'bob')
    await site.remove('/a/deleted.txt')
    await site.remove('/again.txt')
    await site.upload({ '/again.txt': 'again' })
    await site.repositories.delete('demo', 'removed', 'with-content', 'bob')
    await site.backups.backUp({ content: { increment: true } })
    const backup = site.backups.runs.at(-1)!
    assert.deepEqual(
      recordsIn(backup, 'demo/rds/package-version.json').map(({ packageKey, name }) => [packageKey, name]),
      [['rds://lib', '2.0']],
    )
    assert.deepEqual(
      recordsIn(backup, 'demo/rds/package.json').map(({ key }) => key),
      ['rds://lib'],
    )
    const ended = recordsIn(backup, 'tombstone.json').map(({ kind, repoName, fullPath, packageKey, version }) => [
      kind,
      repoName,
      fullPath ?? packageKey,
      version,
    ])
    assert.deepEqual(ended, [
      ['NODE', 'files', '/a/deleted.txt', undefined],
      ['VERSION', 'rds', 'rds://gone', '1.0'],
      ['PACKAGE', 'rds', 'rds://gone', undefined],
      ['NODE', 'rds', '/gone/1.0.tgz', undefined],
      ['REPOSITORY', 'removed', undefined, undefined],
    ])
  })

  it('case 25: given a content that is missing from the store, when it is backed up, then the run is partial, or fails at once', async () => {
    await using site = await makeSite(make)
    const large = 'x'.repeat(100_000)
    await site.upload({ '/a.txt': 'a', '/b/b.txt': 'b', '/b/same.txt': 'b', '/large.bin': large })
    site.blobs.delete(digestOf('b'))
    site.blobs.set(digestOf(large), Buffer.from('y'.repeat(100_000)))
    const { result, errorReason, run, report } = await site.backups.backUp()
    assert.equal(result, 'PARTIAL')
    assert.match(
      errorReason!,
      /3 files are not .* first: demo\/files\/b\/b\.txt: it is missing from the store; .* errors\.json of memory\/1/,
    )
    const { failed, success, nodes, totalNodes } = run.progress.now
    // A project and its repository are records, too.
    assert.deepEqual([failed, success, nodes, totalNodes], [3, 4, 5, 5])
    const { errors, ...counts } = report!
    assert.deepEqual(counts, {
      ...{ repos: 1, nodes: 5, versions: 0, contents: 1, bytes: run.progress.now.bytes, kept: 0, failed: 3 },
      warnings: [],
    })
    const [missing, , damaged, ...others] = errors as { path: string; reason: string }[]
    assert.deepEqual(missing, { path: 'demo/files/b/b.txt', reason: 'it is missing from the store' })
    assert.match(`${damaged!.path}: ${damaged!.reason}`, /^demo\/files\/large\.bin: .*damaged/)
    assert.equal(others.length, 0)
    const [backup] = site.backups.runs
    assert.deepEqual(
      recordsIn(backup!, 'errors.json').map(({ path }) => path),
      ['demo/files/b/b.txt', 'demo/files/b/same.txt', 'demo/files/large.bin'],
    )
    assert.equal(recordsIn(backup!, 'demo/files/node.json').length, 5)
    assert.deepEqual([backup!.manifest.result, backup!.manifest.errors], ['PARTIAL', 3])
    await assert.rejects(
      site.backups.backUp({ setting: { errorStrategy: 'FAST_FAIL' } }),
      (error) => hasCode(error, 'ARTIFACT_BROKEN') && /^demo\/files\/.* cannot be backed up: /.test(error.message),
    )
    assert.equal(site.backups.runs.length, 1)
  })

  it('case 24: given a file that is deleted and collected in mid-backup, when it goes on, then its content is captured', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/doomed.txt': 'doomed' })
    const collect = async () => {
      await purgeDeletedNodes(site, site.clock.now() + 1, signal)
      return collectGarbage({ ...site, graceMs: -1 }, signal)
    }
    // The writer is asked what it has after the snapshot, and before anything is read.
    changeWriter(site.backups.layouts, {
      async held() {
        if ((await site.db.read.selectFrom('tombstone').select('path').execute()).length === 0) {
          await site.remove('/doomed.txt')
        }
        assert.equal((await collect()).deletedBlobs, 0)
        return new Set()
      },
    })
    const { result } = await site.backups.backUp()
    assert.equal(result, 'SUCCESS')
    assert.ok(site.backups.contents.has(digestOf('doomed')))
    assert.equal((await collect()).deletedBlobs, 1)
  })

  it('given a repository in parts, when nothing changed, then no record is read again; when one file did, only its part is', async () => {
    await using site = await makeSite(make)
    const other = await makeRepository(site, 'demo/other')
    await site.upload({ '/a.txt': 'a', '/b.txt': 'b' })
    await site.upload({ '/c.txt': 'c' }, other)
    await site.backups.backUp(REPOSITORY)
    await site.backups.backUp(REPOSITORY)
    const [first, second] = site.backups.runs
    assert.equal(second!.files.get('demo/files/node.json'), first!.files.get('demo/files/node.json'))
    assert.equal(second!.kept.size, 2)
    assert.deepEqual(second!.given, [])
    await site.upload({ '/a.txt': 'changed' })
    await site.backups.backUp(REPOSITORY)
    const third = site.backups.runs.at(-1)!
    assert.equal(third.kept.size, 1)
    assert.deepEqual(third.given, [digestOf('changed')])
    const [a] = recordsIn(third, 'demo/files/node.json')
    assert.equal(parseDigest(String(a!.sha256)), digestOf('changed'))
    assert.equal(recordsIn(third, 'demo/other/node.json').length, 1)
    await site.upload({ '/folder/d.txt': 'd' })
    await site.backups.backUp(REPOSITORY)
    assert.equal(recordsIn(site.backups.runs.at(-1)!, 'demo/files/node.json').length, 4)
    await site.remove('/folder/d.txt')
    // Folders leave no row in the change log.
    await site.db.transact((trx) =>
      trx.updateTable('node').set({ deleted_at: site.clock.now() }).where('path', '=', '/folder').execute(),
    )
    await site.backups.backUp(REPOSITORY)
    assert.equal(recordsIn(site.backups.runs.at(-1)!, 'demo/files/node.json').length, 2)
  })

  it('given a partial base, when the content is back, then the next run reads all of it again', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/a.txt': 'a' })
    const bytes = site.blobs.get(digestOf('a'))!
    site.blobs.delete(digestOf('a'))
    assert.equal((await site.backups.backUp(REPOSITORY)).result, 'PARTIAL')
    site.blobs.set(digestOf('a'), bytes)
    assert.equal((await site.backups.backUp(REPOSITORY)).result, 'SUCCESS')
    assert.ok(site.backups.contents.has(digestOf('a')))
  })

  it('case 30: given a place without room, when a content is written, then the run ends whatever its strategy, and nothing is left', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/large.bin': 'x'.repeat(100_000) })
    changeWriter(site.backups.layouts, {
      async putLarge() {
        throw new AppError('STORAGE_UNAVAILABLE', 'There is no space left on /place')
      },
    })
    await assert.rejects(site.backups.backUp(), /no space/)
    assert.deepEqual([site.backups.runs.length, site.backups.isBusy()], [0, false])
    assert.deepEqual(await readdir(site.workFolder), [])
    assert.deepEqual(await site.db.read.selectFrom('blob_hold').selectAll().execute(), [])
  })

  it('given a run that is cancelled among its contents, when it ends, then it throws the reason and leaves nothing', async () => {
    await using site = await makeSite(make)
    await site.upload({ '/a.txt': 'a', '/large.bin': 'x'.repeat(100_000) })
    const stop = new AbortController()
    const cancelled = new Error('cancelled')
    changeWriter(site.backups.layouts, {
      async putSmall() {
        stop.abort(cancelled)
      },
    })
    await assert.rejects(site.backups.backUp({ signal: stop.signal }), (error) => error === cancelled)
    assert.deepEqual([site.backups.runs.length, await readdir(site.workFolder)], [0, []])
  })

  it('given rules of retention, when a backup went well, then they are applied after the place was let go of', async () => {
    await using site = await makeSite(make)
    const retention = { keepLast: 3, keepDaily: null, keepWeekly: null, keepMonthly: null, keepYearly: null }
    const setting = { retention: { ...retention, keepWithin: null } }
    const { run, errorReason } = await site.backups.backUp({ setting })
    assert.deepEqual([site.backups.retained, errorReason], [[run.id], null])
    await site.upload({ '/a.txt': 'a' })
    site.blobs.clear()
    assert.equal((await site.backups.backUp({ setting })).result, 'PARTIAL')
    assert.equal(site.backups.retained.length, 1)
  })

  it('given a run that died, when it is swept, then its folder, its hold and its draft are gone', async () => {
    await using site = await makeSite(make)
    const { run } = await site.backups.backUp()
    await site.db.transact((trx) =>
      trx
        .insertInto('blob_hold')
        .values({ holder: run.id, until: site.clock.now() + DAY_MS })
        .execute(),
    )
    await site.backups.activity.sweep(run, signal)
    assert.deepEqual(await site.db.read.selectFrom('blob_hold').selectAll().execute(), [])
    assert.deepEqual(site.backups.swept, [run.id])
  })
})
