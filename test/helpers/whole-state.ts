import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { type DatabaseConfig, openDatabase } from '../../src/metadata/open-database.ts'
import { segmentPath } from '../../src/storage/fs/segments/segment-directory.ts'
import { connectApi } from './api.ts'
import { logSums } from './packages.ts'
import type { ServerProcess } from './server-process.ts'

/** What can be seen: digests as hex. */
export interface WholeState {
  /** `project/repo/path` → digest. */
  readonly files: ReadonlyMap<string, string>
  /** `packageKey@version` → digests of its files in their order, joined by spaces. */
  readonly versions: ReadonlyMap<string, string>
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const blobPath = ({ dataDir }: ServerProcess, digest: string): string =>
  join(dataDir, 'blobs', digest.slice(0, 2), digest.slice(2, 4), digest)

/** Paths of what comes in just now, or came in when the server died. */
export async function stagedFiles({ dataDir }: ServerProcess): Promise<string[]> {
  const top = join(dataDir, 'blobs', '.staging')
  const owners = await readdir(top)
  return (
    await Promise.all(
      owners.map(async (owner) => (await readdir(join(top, owner))).map((name) => join(top, owner, name))),
    )
  ).flat()
}

/** Reads all that a server holds while nobody writes, and makes sure that none of it is half there. */
export async function readWholeState(
  server: ServerProcess,
  config: DatabaseConfig,
  signal: AbortSignal,
): Promise<WholeState> {
  await using db = await openDatabase(config, { poolSize: 1 })
  assert.deepEqual(await stagedFiles(server), [], 'what was staged is swept')
  await assertBlobs(server, db)
  const files = await readFiles(db)
  const versions = await readVersions(db)
  await assertCounts(server, db, signal)
  return { files, versions }
}

/** Every promised blob has its bytes, every node a promised blob. */
async function assertBlobs(server: ServerProcess, db: MetadataDatabase): Promise<void> {
  const blobs = await db.read
    .selectFrom('blob')
    .leftJoin('segment', 'segment.id', 'blob.segment')
    .select(['sha256', 'size', 'segment', 'place', 'owner'])
    .where('unneeded_since', 'is', null)
    .execute()
  const promised = new Set<string>()
  for (const blob of blobs) {
    const digest = hex(blob.sha256)
    const bytes = await readBlob(server, digest, blob)
    assert.deepEqual([bytes.length, sha256(bytes)], [blob.size, digest], 'a promised blob has its bytes')
    promised.add(digest)
  }
  const nodes = await db.read.selectFrom('node').select(['path', 'sha256']).where('folder', '=', 0).execute()
  const broken = nodes.filter(({ sha256 }) => sha256 === null || !promised.has(hex(sha256)))
  assert.deepEqual(broken, [], 'every node has its blob')
}

interface BlobPlace {
  readonly size: number
  /** Null: it has a file of its own. */
  readonly segment: number | null
  readonly place: number | null
  readonly owner: string | null
}
async function readBlob(server: ServerProcess, digest: string, { size, segment, place, owner }: BlobPlace) {
  if (segment === null) return readFile(blobPath(server, digest))
  await using file = await open(segmentPath(join(server.dataDir, 'blobs'), { owner: owner!, segment }))
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, place!)
  return buffer.subarray(0, bytesRead)
}

async function readFiles(db: MetadataDatabase): Promise<Map<string, string>> {
  const nodes = await db.read
    .selectFrom('node')
    .innerJoin('repository', 'repository.id', 'node.repo_id')
    .select(['project', 'name', 'path', 'parent', 'sha256', 'folder'])
    .where('node.deleted_at', 'is', null)
    .execute()
  const keyOf = (node: { project: string; name: string }, path: string) => `${node.project}/${node.name}${path}`
  const folders = new Set(nodes.filter(({ folder }) => folder === 1).map((node) => keyOf(node, node.path)))
  const astray = nodes.filter(
    (node) => node.parent !== '/' && node.path !== '/' && !folders.has(keyOf(node, node.parent)),
  )
  assert.deepEqual(astray, [], 'every node is in a folder that is there')
  return new Map(nodes.flatMap((node) => (node.sha256 === null ? [] : [[keyOf(node, node.path), hex(node.sha256)]])))
}

/** All or nothing: no version without one of its files, no file of a package without its version. */
async function readVersions(db: MetadataDatabase): Promise<Map<string, string>> {
  const rows = await db.read
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .leftJoin('version_file', 'version_file.version_id', 'package_version.id')
    .leftJoin('node', (on) =>
      on
        .onRef('node.repo_id', '=', 'version_file.repo_id')
        .onRef('node.path', '=', 'version_file.path')
        .on('node.deleted_at', 'is', null),
    )
    .select(['package.key', 'package_version.name', 'package_version.size', 'package_version.artifact_path'])
    .select(['version_file.path', 'version_file.role', 'node.sha256', 'node.size as node_size'])
    .orderBy('package_version.id')
    .orderBy('version_file.ord')
    .execute()
  assert.deepEqual(
    rows.filter(({ sha256 }) => sha256 === null),
    [],
    'every file of a version is there',
  )
  const versions = new Map<string, string>()
  for (const [version, files] of Map.groupBy(rows, ({ key, name }) => `${key}@${name}`)) {
    const bytes = files.reduce((sum, file) => sum + file.node_size!, 0)
    const main = files.filter(({ role }) => role === 'main').map(({ path }) => path)
    assert.deepEqual([files[0]!.size, [files[0]!.artifact_path]], [bytes, main], version)
    versions.set(version, files.map(({ sha256 }) => hex(sha256!)).join(' '))
  }
  const packages = await db.read.selectFrom('package').select(['key', 'versions', 'latest']).execute()
  const counted = Map.groupBy(versions.keys(), (version) => version.slice(0, version.lastIndexOf('@')))
  assert.deepEqual(
    new Map(packages.map(({ key, versions }) => [key, versions])),
    new Map([...counted].map(([key, names]) => [key, names.length])),
    'every package counts its versions',
  )
  for (const { key, latest } of packages) assert.ok(versions.has(`${key}@${latest}`), `${key}@${latest} is there`)

  const unclaimed = await db.read
    .selectFrom('node')
    .innerJoin('repository', 'repository.id', 'node.repo_id')
    .leftJoin('version_file', (on) =>
      on.onRef('version_file.repo_id', '=', 'node.repo_id').onRef('version_file.path', '=', 'node.path'),
    )
    .select('node.path')
    .where('node.deleted_at', 'is', null)
    .where('node.folder', '=', 0)
    .where('repository.type', '<>', 'GENERIC')
    .where('version_file.path', 'is', null)
    .execute()
  assert.deepEqual(unclaimed, [], 'no file of a package without its version')
  return versions
}

/** Bytes in use and the change log say what is there. */
async function assertCounts(server: ServerProcess, db: MetadataDatabase, signal: AbortSignal): Promise<void> {
  using api = connectApi(server)
  const repositories = await db.read.selectFrom('repository').select(['id', 'project', 'name']).execute()
  for (const { id, project, name } of repositories) {
    const { bytes } = await db.read
      .selectFrom('node')
      .select((eb) => eb.fn.coalesce(eb.fn.sum<number>('size'), eb.lit(0)).as('bytes'))
      .where('repo_id', '=', id)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow()
    const quota = `/repository/api/repo/quota/${project}/${name}`
    const { used } = await api.call<{ used: number }>('GET', quota, undefined, signal)
    assert.equal(used, Number(bytes), 'used is the sum of live sizes')
    const { logged, live } = await logSums({ db }, id)
    assert.deepEqual(logged, live, 'the change log adds up to what is there')
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
