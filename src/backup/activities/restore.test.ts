import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fileWrite, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { type BackupWanted, backupsOf } from '../../../test/helpers/backup-activity.ts'
import { digestOf, streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase, type MakeDatabase } from '../../../test/helpers/databases.ts'
import { logSums, makePackageRepository, packageServices } from '../../../test/helpers/packages.ts'
import { type ReadableBackup, type RestoreWanted, restoresOf } from '../../../test/helpers/restore-activity.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { deleteFiles, type FileWrite, lockLive, putFiles, putFolders } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { usedBytes } from '../../metadata/repositories/usage.ts'

const signal = new AbortController().signal

async function makeSite(make: MakeDatabase) {
  const db = await make()
  const dir = await tempDir()
  const services = packageServices(db)
  const { clock, hlc, store, intake } = services
  const backups = backupsOf({ db, store, clock, workFolder: dir.file('work') })
  const restores = restoresOf({ ...services, builtTypes: ['GENERIC', 'RDS'] })
  return {
    ...services,
    async upload(repository: Repository, name: string, text: string, more: Partial<FileWrite> = {}): Promise<void> {
      await using staged = await store.receive(streamOf(text), {}, signal)
      await intake.prepare([staged], signal)
      await db.transact(async (trx) => {
        const current = await lockLive(trx, repository.id, [path(name)])
        await intake.claim(trx, [staged], signal)
        await putFiles(trx, repository, [fileWrite(services, name, text, more)], current, clock.now())
      })
    },
    async remove(repository: Repository, name: string): Promise<void> {
      await db.transact(async (trx) => {
        const rows = await lockLive(trx, repository.id, [path(name)])
        const deletion = { by: 'alice', at: clock.now(), hlc: hlc.next(), origin: 0, viaLink: null }
        await deleteFiles(trx, repository, [...rows.values()], deletion)
      })
    },
    async backUp(wanted?: BackupWanted): Promise<ReadableBackup> {
      await backups.backUp(wanted)
      const { files, manifest } = backups.runs.at(-1)!
      return { files, manifest, contents: new Map(backups.contents) }
    },
    restore: (backup: ReadableBackup, wanted?: RestoreWanted) => restores.restore(backup, wanted),
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}
type Site = Awaited<ReturnType<typeof makeSite>>

/** What a restore has to bring back, whatever ids and stamps it gets. */
async function contentsOf(db: MetadataDatabase) {
  const nodes = await db.read
    .selectFrom('node')
    .innerJoin('repository', 'repository.id', 'node.repo_id')
    .where('node.deleted_at', 'is', null)
    .where('repository.deleted_at', 'is', null)
    .select([
      ...(['repository.project', 'repository.name', 'node.path', 'node.folder', 'node.sha256', 'node.size'] as const),
      ...(['node.metadata', 'node.expires_at', 'node.created_by', 'node.created_at'] as const),
      ...(['node.modified_by', 'node.modified_at', 'node.md5'] as const),
    ])
    .orderBy('repository.name')
    .orderBy('node.path')
    .execute()
  const versions = await db.read
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .select([
      ...(['package.key', 'package_version.name', 'package_version.size', 'package_version.downloads'] as const),
      ...(['artifact_path', 'package_version.metadata', 'package_version.extension', 'tags', 'stage_tags'] as const),
      ...(['package_version.created_by', 'package_version.created_at', 'package_version.modified_at'] as const),
      ...(['package.latest', 'package.version_tag', 'package.description', 'package.versions'] as const),
      'package.modified_at as said_at',
    ])
    .orderBy('package.key')
    .orderBy('package_version.name')
    .execute()
  const files = await db.read
    .selectFrom('version_file')
    .innerJoin('package_version', 'package_version.id', 'version_file.version_id')
    .select(['package_version.name', 'version_file.path', 'version_file.role', 'version_file.ord'])
    .orderBy('package_version.name')
    .orderBy('version_file.ord')
    .execute()
  return JSON.parse(JSON.stringify({ nodes, versions, files })) as unknown
}
const changesOf = async (db: MetadataDatabase): Promise<number> =>
  (await db.read.selectFrom('change_log').select('id').execute()).length
const deletedOf = async (db: MetadataDatabase): Promise<string[]> =>
  (await db.read.selectFrom('node').select('path').where('deleted_at', 'is not', null).orderBy('path').execute()).map(
    (row) => row.path,
  )
const found = async ({ repositories }: Site, repo = 'files'): Promise<Repository> =>
  (await repositories.find('demo', repo))!

const METADATA = [
  { key: 'author', value: 'anna', description: 'who' },
  { key: 'scanned', value: { by: ['x'] }, system: true },
]

/** Files, a folder that is empty, a large content and a package with two versions. */
async function filled(make: MakeDatabase) {
  const site = await makeSite(make)
  const repository = await makeRepository(site)
  await site.upload(repository, '/a/one.txt', 'same', { metadata: METADATA, md5: 'f'.repeat(32) })
  await site.clock.advance(60_000)
  await site.upload(repository, '/a/b/two.txt', 'same', { createdBy: 'bob', modifiedBy: 'carl' })
  await site.upload(repository, '/large.bin', 'x'.repeat(100_000), { expiresAt: site.clock.now() + 30 * 86_400_000 })
  await site.db.transact((trx) => putFolders(trx, repository, [path('/empty')], 'dora', 77, site.hlc.next()))
  const rds = await makePackageRepository(site)
  const words = {
    metadata: METADATA,
    tags: ['t'],
    extension: { k: 1 },
    package: { description: 'good', tags: ['stable'] },
  }
  await site.publish(rds, 'tool', '1.0', { '/tool/1.0/tool.tgz': 'first', '/tool/1.0/sum': 'sum' }, words)
  await site.clock.advance(60_000)
  await site.publish(rds, 'tool', '2.0', { '/tool/2.0/tool.tgz': 'second' })
  await site.db.transact((trx) => trx.updateTable('package_version').set({ downloads: 7 }).execute())
  await site.db.transact((trx) => trx.updateTable('package').set({ downloads: 14 }).execute())
  return { site, repository, rds }
}

eachDatabase('a run of restore', (make) => {
  it('case 16: given a backup, when an empty server restores it, then nodes, metadata, dates, authors, versions and sums are equal', async () => {
    const { site } = await filled(make)
    await using source = site
    await using target = await makeSite(make)
    const backup = await source.backUp()
    const { result, errorReason, run } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    assert.deepEqual(await contentsOf(target.db), await contentsOf(source.db))
    for (const name of ['files', 'rds']) {
      const [from, to] = [await found(source, name), await found(target, name)]
      assert.equal(await usedBytes(target.db.read, to.id), await usedBytes(source.db.read, from.id))
      const { logged, live } = await logSums(target, to.id)
      assert.deepEqual(logged, live)
      const { id: _, epoch: _e, floorSeq: _f, ...kept } = to
      const { id: _i, epoch: _p, floorSeq: _s, ...wanted } = from
      assert.deepEqual(kept, wanted)
    }
    const { projects, repos, versions, failed, skipped } = run.progress.now
    assert.deepEqual([projects, repos, versions, failed, skipped], [1, 2, 2, 0, 0])
    const downloads = await target.db.read.selectFrom('package').select('downloads').execute()
    assert.deepEqual(downloads[0]!.downloads, 14)
  })

  it('case 18: given a restore that is done, when it is done again, then nothing changes and no content is read', async () => {
    const { site } = await filled(make)
    await using source = site
    await using target = await makeSite(make)
    const backup = await source.backUp()
    await target.restore(backup)
    const before = [await contentsOf(target.db), await changesOf(target.db), await deletedOf(target.db)]
    await target.clock.advance(60_000)
    for (const conflictStrategy of ['OVERWRITE', 'SKIP'] as const) {
      const { result, opened } = await target.restore(backup, { setting: { conflictStrategy } })
      assert.deepEqual([result, opened], ['SUCCESS', []])
      const after = [await contentsOf(target.db), await changesOf(target.db), await deletedOf(target.db)]
      assert.deepEqual(after, before)
    }
  })

  it('case 17: given other bytes at a path, when restored with SKIP and OVERWRITE, then they are kept and not imported, or replaced', async () => {
    const { site, repository } = await filled(make)
    await using source = site
    await source.upload(repository, '/clash.txt', 'theirs')
    const backup = await source.backUp()
    await using target = await makeSite(make)
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

  it('case 26: given contents that are missing or of which a byte is wrong, when restored, then their files are told and the others come', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    const contents = new Map(backup.contents)
    contents.delete(digestOf('same'))
    contents.set(digestOf('x'.repeat(100_000)), Buffer.from(`y${'x'.repeat(99_999)}`))
    await using target = await makeSite(make)
    const { result, report, errorReason } = await target.restore({ ...backup, contents })
    assert.equal(result, 'PARTIAL')
    assert.match(errorReason!, /^3 could not be restored/)
    const errors = report!.errors as { path: string; reason: string }[]
    assert.deepEqual(errors.map((error) => error.path).sort(), [
      'demo/files/a/b/two.txt',
      'demo/files/a/one.txt',
      'demo/files/large.bin',
    ])
    assert.ok(errors.every(({ reason }) => /content/.test(reason)))
    assert.equal((await target.db.read.selectFrom('package_version').select('id').execute()).length, 2)
    await assert.rejects(
      target.restore({ ...backup, contents }, { setting: { errorStrategy: 'FAST_FAIL' } }),
      (error) => hasCode(error, 'NODE_CONFLICT', 'ARTIFACT_BROKEN') && /demo\/files\//.test(error.message),
    )
  })

  it('case 26: given a record file that is not what it was, when restored, then nothing at all is written', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
    await assert.rejects(
      target.restore({ ...backup, spoilt: new Set(['demo/rds/node.json']) }),
      (error) => hasCode(error, 'ARTIFACT_BROKEN') && /demo\/rds\/node\.json/.test(error.message),
    )
    assert.equal(await target.projects.find('demo'), undefined)
  })

  it('case 28: given records that are hostile or broken, when restored, then each is refused by itself', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    const nodes = backup.files.get('demo/files/node.json')!
    const sample = JSON.parse(nodes.split('\n').find((line) => line.includes('one.txt'))!)
    const bad = [
      { ...sample, fullPath: '/n/passwd', sha256: '../../../etc/passwd' },
      { ...sample, fullPath: '/n/../../up' },
      { ...sample, fullPath: '/a/one.txt/below' },
      { ...sample, fullPath: '/a' },
      { ...sample, fullPath: '/wrong-size', size: 5 },
      'no object',
    ].map((record) => JSON.stringify(record))
    const files = new Map([...backup.files, ['demo/files/node.json', `${nodes}${bad.join('\n')}\n{"torn":\n`]])
    await using target = await makeSite(make)
    const { result, run, report } = await target.restore({ ...backup, files })
    assert.equal(result, 'PARTIAL')
    assert.equal(run.progress.now.failed, 7, JSON.stringify(report!.errors))
    assert.deepEqual(await contentsOf(target.db), await contentsOf(source.db))
  })

  it('case 33: given a repository of another type, when restored, then it is an error entry and the repository is untouched', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
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
    const { site, repository, rds } = await filled(make)
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
      await using target = await makeSite(make)
      await target.clock.advance(4 * 86_400_000)
      await target.restore(full, { setting: { conflictStrategy } })
      const { result, errorReason } = await target.restore(increment, { setting: { conflictStrategy } })
      assert.deepEqual([result, errorReason], ['SUCCESS', null])
      // When the package lost its tag is another moment here.
      for (const { db } of [source, target])
        await db.transact((trx) => trx.updateTable('package').set({ modified_at: 1 }).execute())
      if (conflictStrategy === 'OVERWRITE') assert.deepEqual(await contentsOf(target.db), await contentsOf(source.db))
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
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
    const rds = await makePackageRepository(target)
    await target.publish(rds, 'tool', '1.0', { '/tool/1.0/tool.tgz': 'another', '/tool/1.0/old': 'old' })
    const { result, errorReason } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    const { nodes } = (await contentsOf(target.db)) as { nodes: unknown[] }
    assert.deepEqual(nodes.length, ((await contentsOf(source.db)) as { nodes: unknown[] }).nodes.length)
    const { logged, live } = await logSums(target, rds.id)
    assert.deepEqual(logged, live)
    const [version] = await target.db.read.selectFrom('package_version').where('name', '=', '1.0').selectAll().execute()
    assert.deepEqual([version!.size, version!.downloads], [8, 7])
  })

  it('given a file that is kept with other bytes, when a version needs it and SKIP is asked for, then the version is an error entry', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
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

  it('given a filter, another project as target and a name that the backup lacks, when restored, then only that is there, and a warning', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
    const entry = { projectRegex: null, repoRegex: null, excludeProjects: null, excludeRepos: null, repoList: null }
    const projects = [
      { ...entry, projectId: 'demo', repoList: ['files'] },
      { ...entry, projectId: 'nowhere' },
    ]
    const { result, errorReason } = await target.restore(backup, {
      content: { projects },
      setting: { targetProjectId: 'copy' },
    })
    assert.equal(result, 'SUCCESS')
    assert.match(errorReason!, /project \[nowhere\] is not in the backup/)
    const names = await target.db.read.selectFrom('repository').select(['project', 'name']).execute()
    assert.deepEqual(
      names.map(({ project, name }) => `${project}/${name}`),
      ['copy/files'],
    )
    assert.equal(await target.projects.find('demo'), undefined)
  })

  it('given a rehearsal, when it runs, then every content is read, conflicts are judged, and nothing is written', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    const contents = new Map([...backup.contents, [digestOf('x'.repeat(100_000)), Buffer.alloc(100_000)]])
    await using target = await makeSite(make)
    const { result, run, opened, report } = await target.restore({ ...backup, contents }, { setting: { dryRun: true } })
    assert.equal(result, 'PARTIAL')
    assert.equal(report!.dryRun, true)
    assert.deepEqual(new Set(opened), new Set(backup.contents.keys()))
    assert.deepEqual([run.progress.now.failed, run.progress.now.repos, run.progress.now.versions], [1, 2, 2])
    assert.equal(await target.projects.find('demo'), undefined)
    assert.equal(await changesOf(target.db), 0)
  })

  it('given a rate limit, when large and small contents are restored, then all of them wait their turn', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await makeSite(make)
    let taken = 0
    const paceOf = () => ({
      take(bytes: number): undefined {
        taken += bytes
      },
    })
    const { run } = await restoresOf({ ...target, builtTypes: ['GENERIC', 'RDS'], paceOf }).restore(backup, {
      setting: { rateLimit: 1 },
    })
    assert.equal(taken, run.progress.now.bytes)
    assert.deepEqual(await contentsOf(target.db), await contentsOf(source.db))
  })

  it('given a quota that the backup is above, when restored, then all of it comes and the quota is told of', async () => {
    const { site, repository } = await filled(make)
    await using source = site
    await source.quotas.set(repository, 10, 'admin')
    const backup = await source.backUp()
    await using target = await makeSite(make)
    const { result, errorReason } = await target.restore(backup)
    assert.equal(result, 'SUCCESS')
    assert.match(errorReason!, /\[demo\/files\] is above its quota: 100008 of 10 bytes/)
  })

  it('given proxies with passwords and a view of them, when restored, then they are configured as before; without the key, passwords are told of', async () => {
    await using source = await makeSite(make)
    await makeRepository(source)
    const made = { project: 'demo', type: 'GENERIC' }
    const login = { username: 'anna', password: 'secret' }
    const remote = { url: 'http://127.0.0.1:9/up', credentials: login }
    await source.repositories.create({ ...made, name: 'remote', category: 'REMOTE', configuration: remote }, 'admin')
    const proxy = { channelList: [{ name: 'one', url: 'http://127.0.0.1:9/c', ...login }] }
    await source.repositories.create(
      { ...made, name: 'mixed', category: 'COMPOSITE', configuration: { proxy } },
      'admin',
    )
    // By name before its members.
    const members = { repositoryList: [{ name: 'remote' }, { name: 'files' }] }
    await source.repositories.create({ ...made, name: 'all', category: 'VIRTUAL', configuration: members }, 'admin')
    const backup = await source.backUp()
    const secretsOf = async (site: Site) =>
      (await site.db.read.selectFrom('proxy_secret').select(['slot', 'secret']).orderBy('slot').execute()).map(
        ({ slot, secret }) => [slot, secret],
      )
    await using target = await makeSite(make)
    const { result, errorReason } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    for (const name of ['remote', 'mixed', 'all']) {
      assert.deepEqual((await found(target, name)).configuration, (await found(source, name)).configuration)
    }
    const ids = await Promise.all(['mixed', 'remote'].map(async (name) => (await found(source, name)).id))
    const stored = (await secretsOf(source)).map(([, secret]) => secret)
    assert.deepEqual(await secretsOf(target), [
      ['channel/one', `repository/${ids[0]}/channel/one: ${stored[0]}`],
      ['credentials', `repository/${ids[1]}/credentials: ${stored[1]}`],
    ])

    await using other = await makeSite(make)
    const locked = restoresOf({ ...other, builtTypes: ['GENERIC'], secrets: { unpack: () => undefined } })
    const outcome = await locked.restore(backup)
    assert.equal(outcome.result, 'SUCCESS')
    assert.match(outcome.errorReason!, /password of channel\/one.*password of credentials/)
    const { configuration } = await found(other, 'remote')
    assert.deepEqual(configuration.credentials, { username: 'anna', password: null })
    assert.deepEqual(await secretsOf(other), [])
  })

  it('given common data and repositories, when restored, then its phases come before and after them', async () => {
    await using source = await makeSite(make)
    await makeRepository(source)
    const backup = await source.backUp()
    const files = new Map([...backup.files, ['user.json', '{"userId":"anna"}\n{"torn":\n']])
    await using target = await makeSite(make)
    const order: unknown[] = []
    const phase = (name: string) => async (records: AsyncIterable<unknown>) => {
      const there = await target.repositories.find('demo', 'files')
      order.push([name, there !== undefined, await Array.fromAsync(records)])
    }
    const users = {
      path: 'user.json',
      async *read() {},
      restoring: () => ({ beforeRepositories: phase('before'), afterRepositories: phase('after') }),
    }
    const restores = restoresOf({ ...target, builtTypes: ['GENERIC'], commonFiles: [users] })
    await restores.restore({ ...backup, files }, { content: { commonData: true } })
    // What is no JSON the file refuses itself, once.
    assert.deepEqual(order, [
      ['before', false, [{ userId: 'anna' }, null]],
      ['after', true, [{ userId: 'anna' }, null]],
    ])
  })

  it('given a repository of that name that was deleted, when restored, then it is a new one', async () => {
    const { site } = await filled(make)
    await using source = site
    const backup = await source.backUp()
    await source.repositories.delete('demo', 'files', 'with-content', 'admin')
    const { result } = await source.restore(backup)
    assert.equal(result, 'SUCCESS')
    const repository = await found(source)
    const paths = await source.db.read
      .selectFrom('node')
      .select('path')
      .where('repo_id', '=', repository.id)
      .where('deleted_at', 'is', null)
      .orderBy('path')
      .execute()
    assert.deepEqual(
      paths.map((row) => row.path),
      ['/a', '/a/b', '/a/b/two.txt', '/a/one.txt', '/empty', '/large.bin'],
    )
  })

  it('given more nodes than a batch takes, when the run is cut in the middle and run again, then all are there once', async () => {
    await using source = await makeSite(make)
    const repository = await makeRepository(source)
    await source.upload(repository, '/n', 'same')
    const backup = await source.backUp()
    const [line] = backup.files.get('demo/files/node.json')!.split('\n')
    const record = JSON.parse(line!) as Record<string, unknown>
    const lines = Array.from({ length: 1_200 }, (_, n) =>
      JSON.stringify({ ...record, fullPath: `/d/${n}`, name: `${n}` }),
    )
    const files = new Map([...backup.files, ['demo/files/node.json', `${lines.join('\n')}\n`]])
    await using target = await makeSite(make)
    const stop = new AbortController()
    let batches = 0
    const transact: typeof target.db.transact = async (work) => {
      if (++batches > 3) stop.abort(new Error('cut'))
      return target.db.transact(work)
    }
    const cutting = restoresOf({ ...target, db: { ...target.db, transact }, builtTypes: ['GENERIC'] })
    await assert.rejects(cutting.restore({ ...backup, files }, { signal: stop.signal }))
    const { result } = await target.restore({ ...backup, files })
    assert.equal(result, 'SUCCESS')
    const repo = await found(target)
    assert.equal(await usedBytes(target.db.read, repo.id), 1_200 * 4)
    const { logged, live } = await logSums(target, repo.id)
    assert.deepEqual(logged, live)
    assert.deepEqual(await deletedOf(target.db), [])
  })
})
