import { deleteFiles, type FileWrite, lockLive, putFiles, putFolders } from '../../src/artifacts/nodes/node-writer.ts'
import type { Repository } from '../../src/artifacts/repositories/repositories.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { fileWrite, makeRepository, path } from './artifacts.ts'
import { type BackupWanted, backupsOf } from './backup-activity.ts'
import { streamOf } from './blobs.ts'
import type { MakeDatabase } from './databases.ts'
import { makePackageRepository, packageServices } from './packages.ts'
import { type ReadableBackup, type RestoreWanted, restoresOf } from './restore-activity.ts'
import { tempDir } from './temp.ts'

const signal = new AbortController().signal

/** A server's data on one database, which backups are made of and restored to. */
export async function restoreSite(make: MakeDatabase) {
  const db = await make()
  const dir = await tempDir()
  const services = packageServices(db)
  const { clock, hlc, store, intake } = services
  const backups = backupsOf({ db, store, clock, workFolder: dir.file('work') })
  const restores = restoresOf({ ...services, builtTypes: ['GENERIC', 'RDS'] })
  return {
    ...services,
    backups,
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
    /** `repository/path` of all nodes that are live. */
    async live(): Promise<string[]> {
      const rows = await db.read
        .selectFrom('node')
        .innerJoin('repository', 'repository.id', 'node.repo_id')
        .where('node.deleted_at', 'is', null)
        .where('repository.deleted_at', 'is', null)
        .select(['repository.name', 'node.path'])
        .execute()
      return rows.map((row) => `${row.name}${row.path}`).sort()
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
export type Site = Awaited<ReturnType<typeof restoreSite>>

/** What a restore has to bring back, whatever ids and stamps it gets. */
export async function restoredContents(db: MetadataDatabase) {
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
export const changesOf = async (db: MetadataDatabase): Promise<number> =>
  (await db.read.selectFrom('change_log').select('id').execute()).length
export const deletedOf = async (db: MetadataDatabase): Promise<string[]> =>
  (await db.read.selectFrom('node').select('path').where('deleted_at', 'is not', null).orderBy('path').execute()).map(
    (row) => row.path,
  )
export const found = async ({ repositories }: Site, repo = 'files'): Promise<Repository> =>
  (await repositories.find('demo', repo))!

const METADATA = [
  { key: 'author', value: 'anna', description: 'who' },
  { key: 'scanned', value: { by: ['x'] }, system: true },
]

/** Files, a folder that is empty, a large content and a package with two versions. */
export async function filledSite(make: MakeDatabase) {
  const site = await restoreSite(make)
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
