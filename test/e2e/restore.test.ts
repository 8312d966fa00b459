import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { it } from 'node:test'
import { digestHex } from '../../src/core/digest.ts'
import { metaHeader } from '../helpers/api.ts'
import { type BackupTaskInfo, completeBackup, createBackup, endOfBackup, startBackup } from '../helpers/backup-calls.ts'
import { digestOf } from '../helpers/blobs.ts'
import { IMAGES, imageCalls } from '../helpers/imaged-clusters.ts'
import { legacyBackup } from '../helpers/legacy-backup.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { createRepository, listFiles } from '../helpers/replication-calls.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'demo/files'
const ALL = { commonData: false, projects: [{ projectRegex: '*' }] }

/** Servers that share a root of backups. */
async function site(dialect: TestDialect, signal: AbortSignal) {
  await using started = new AsyncDisposableStack()
  const dir = started.use(await tempDir())
  const root = dir.file('backups')
  await mkdir(root)
  const env = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
  const held = started.move()
  const bodyOf = (storeLocation: string, setting: object, content: object) => ({
    ...{ name: 'back', storeLocation, type: 'DATA_RESTORE', backupSetting: setting },
    content: { ...ALL, ...content },
  })
  return {
    root,
    server: async (name: string) => held.use(await startCluster({ name, dialect, env })),
    /** @returns where the run lies. */
    async backUp(from: LocalCluster, content: object = {}, setting: object = {}): Promise<string> {
      const body = { name: 'daily', storeLocation: '.', content: { ...ALL, ...content }, backupSetting: setting }
      return (await completeBackup(from.api, body, signal)).artifactLocation!
    },
    async restore(to: LocalCluster, path: string, setting: object = {}, content: object = {}): Promise<BackupTaskInfo> {
      return endOfBackup(to.api, await startBackup(to.api, bodyOf(path, setting, content), signal), signal)
    },
    /** The same run, so that it can be spoilt. */
    async copyOf(path: string): Promise<string> {
      const copy = join(root, 'copies', path.slice(root.length + 1))
      await cp(path, copy, { recursive: true })
      return copy
    },
    refused: (to: LocalCluster, path: string) => createBackup(to.api, bodyOf(path, {}, {}), signal),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const put = (to: LocalCluster, path: string, text: string, signal: AbortSignal, meta = {}) =>
  to.api.upload(REPO, path, Buffer.from(text), { 'x-bkrepo-overwrite': 'true', ...metaHeader(meta) }, signal)

/** Everything that a node shows, but for its ids. */
async function shown(where: LocalCluster, signal: AbortSignal, repo = REPO) {
  const found = await Array.fromAsync(listFiles(where.api, repo, signal))
  return found.map((node) => Object.fromEntries(Object.entries(node).filter(([key]) => !/^id$|stageTag/i.test(key))))
}
const usage = (where: LocalCluster, signal: AbortSignal, repo = REPO) =>
  where.api.call('GET', `/repository/api/repo/quota/${repo}`, undefined, signal)
const textOf = async (where: LocalCluster, path: string, signal: AbortSignal): Promise<string> =>
  (await buffer(await where.api.download(REPO, path, signal))).toString()

async function fill(on: LocalCluster, signal: AbortSignal): Promise<void> {
  await createRepository(on.api, REPO, signal)
  await put(on, '/a/one.txt', 'same', signal, { author: 'anna' })
  await put(on, '/a/b/two.txt', 'same', signal)
  await put(on, '/large.bin', 'x'.repeat(3_000_000), signal)
}

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  await writeFile(file, bytes)
}
const contentFile = (run: string, text: string) => {
  const hex = digestHex(digestOf(text))
  return join(run, 'bk+store', hex.slice(0, 2), hex.slice(2, 4), hex)
}

eachDialect('restore', (dialect) => {
  it('case 16 and 18: given a folder, a zip and a repository, when empty servers restore them twice, then all is as it was, and nothing changes the second time', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const runs = [
      await on.backUp(source),
      await on.backUp(source, { compression: true }),
      await on.backUp(source, {}, { layout: 'REPOSITORY' }),
    ]
    for (const run of runs) {
      const target = await on.server('target')
      const compression = run.endsWith('.zip')
      const first = await on.restore(target, run, {}, { compression })
      assert.deepEqual([first.result, first.errorReason], ['SUCCESS', null])
      assert.deepEqual(await shown(target, t.signal), await shown(source, t.signal))
      assert.deepEqual(await usage(target, t.signal), await usage(source, t.signal))
      const [changes, rows] = [await count(target, 'change_log'), await count(target, 'node')]
      const second = await on.restore(target, run, {}, { compression })
      assert.deepEqual([second.result, second.errorReason], ['SUCCESS', null])
      assert.deepEqual([await count(target, 'change_log'), await count(target, 'node')], [changes, rows])
      assert.deepEqual(await usage(target, t.signal), await usage(source, t.signal))
      await target[Symbol.asyncDispose]()
    }
  })

  it('case 17: given the same path with other bytes, when restored with SKIP and OVERWRITE, then it is kept without a content, or replaced', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const run = await on.backUp(source)
    const target = await on.server('target')
    await createRepository(target.api, REPO, t.signal)
    await put(target, '/large.bin', 'ours', t.signal)
    const skipped = await on.restore(target, run, { conflictStrategy: 'SKIP' })
    assert.equal(skipped.result, 'SUCCESS', skipped.errorReason!)
    assert.equal(await textOf(target, '/large.bin', t.signal), 'ours')
    assert.deepEqual(await blobs(target), [4, 4])
    const replaced = await on.restore(target, run)
    assert.equal(replaced.result, 'SUCCESS', replaced.errorReason!)
    assert.deepEqual(await shown(target, t.signal), await shown(source, t.signal))
    assert.deepEqual(await usage(target, t.signal), await usage(source, t.signal))
  })

  it('case 22: given a full backup and an increment, when restored oldest first with OVERWRITE, then the deleted is gone and the changed is new', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const full = await on.backUp(source)
    const incrementDate = new Date(Date.now() - 1).toISOString()
    await source.api.call('DELETE', `/repository/api/node/delete/${REPO}/a/one.txt`, undefined, t.signal)
    await put(source, '/a/b/two.txt', 'changed', t.signal)
    await put(source, '/c.txt', 'new', t.signal)
    const increment = await on.backUp(source, { increment: true, incrementDate })
    const target = await on.server('target')
    for (const run of [full, increment]) {
      const { result, errorReason } = await on.restore(target, run)
      assert.deepEqual([result, errorReason], ['SUCCESS', null])
    }
    assert.deepEqual(await shown(target, t.signal), await shown(source, t.signal))
    const kept = await on.server('kept')
    for (const run of [full, increment]) await on.restore(kept, run, { conflictStrategy: 'SKIP' })
    assert.equal(await textOf(kept, '/a/one.txt', t.signal), 'same')
  })

  it('case 26: given one byte changed in a content, in node.json and in the manifest, when restored, then an error entry, and two refusals that write nothing', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const run = await on.backUp(source)
    const target = await on.server('target')
    for (const [file, why] of [
      ['demo/files/node.json', /node\.json .*damaged/],
      ['manifest.json', /manifest/],
    ] as const) {
      const spoilt = await on.copyOf(run)
      await flip(join(spoilt, file))
      const { result, errorReason } = await on.restore(target, spoilt)
      assert.equal(result, 'FAILED')
      assert.match(errorReason!, why)
      await rm(spoilt, { recursive: true })
    }
    assert.equal(await count(target, 'repository'), 0)
    const spoilt = await on.copyOf(run)
    await flip(contentFile(spoilt, 'same'))
    const { result, errorReason, report } = await on.restore(target, spoilt)
    assert.equal(result, 'PARTIAL')
    assert.match(errorReason!, /2 could not be restored/)
    const errors = report!.errors as { path: string }[]
    assert.deepEqual(errors.map(({ path }) => path).sort(), ['demo/files/a/b/two.txt', 'demo/files/a/one.txt'])
    assert.equal((await textOf(target, '/large.bin', t.signal)).length, 3_000_000)
    const fast = await on.restore(target, spoilt, { errorStrategy: 'FAST_FAIL' })
    assert.equal(fast.result, 'FAILED')
    assert.match(fast.errorReason!, /demo\/files\/a/)
    const healed = await on.restore(target, run)
    assert.equal(healed.result, 'SUCCESS')
    assert.deepEqual(await shown(target, t.signal), await shown(source, t.signal))
  })

  it('case 33: given a repository of another type under the same name, when restored, then it is an error entry and stays as it is', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const run = await on.backUp(source)
    const target = await on.server('target')
    await createRepository(target.api, 'demo/other', t.signal)
    const body = { projectId: 'demo', name: 'files', type: 'DOCKER', public: true, description: 'ours' }
    await target.api.call('POST', '/repository/api/repo/create', body, t.signal)
    const info = () => target.api.call('GET', `/repository/api/repo/info/${REPO}`, undefined, t.signal)
    const before = await info()
    const { result, errorReason } = await on.restore(target, run)
    assert.equal(result, 'PARTIAL')
    assert.match(errorReason!, /demo\/files: the repository here is COMPOSITE of type DOCKER/)
    assert.deepEqual(await info(), before)
    assert.equal(await count(target, 'node'), 0)
  })

  it('case 35 and 28: given a folder and a zip that the reference made, when restored with legacy, then they come, but for records that climb; without it they are refused', async (t) => {
    await using on = await site(dialect, t.signal)
    const made = await legacyBackup(on.root)
    const target = await on.server('target')
    await assert.rejects(on.refused(target, made.folder), /storeLocation.*manifest/)
    for (const [path, compression] of [
      [made.folder, false],
      [made.zip, true],
    ] as const) {
      const { result, report, errorReason } = await on.restore(target, path, { legacy: true }, { compression })
      assert.equal(result, 'PARTIAL', errorReason!)
      const errors = report!.errors as { path: string; reason: string }[]
      assert.deepEqual(
        errors.map((error) => error.path),
        made.badLines,
      )
      assert.equal(await textOf(target, '/docs/readme.txt', t.signal), made.text)
      const nodes = await shown(target, t.signal)
      const [node] = nodes.filter(({ fullPath }) => fullPath === '/docs/readme.txt')
      assert.deepEqual([node!.createdBy, node!.lastModifiedBy], ['old-hand', 'new-hand'])
      assert.equal(node!.createdDate, made.createdDate)
      assert.deepEqual(node!.metadata, { author: 'anna' })
    }
    assert.equal(await count(target, 'node', 'live'), 2)
  })

  it('case 19: given images with platforms, signatures and moved tags, when an empty server restores them, then each pulls by tag and by digest', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    const images = imageCalls(t.signal)
    const [projectId, name] = IMAGES.split('/')
    await createRepository(source.api, `${projectId}/other`, t.signal)
    const body = { projectId, name, type: 'DOCKER', public: false, description: 'images' }
    await source.api.call('POST', '/repository/api/repo/create', body, t.signal)
    const one = await images.push(source, 'team/app', '1.0')
    const index = await images.pushIndex(source, 'team/app', 'latest', ['linux/amd64', 'linux/arm64/v8'])
    const signature = await images.refer(source, 'team/app', one, 'signed')
    const run = await on.backUp(source)

    const target = await on.server('target')
    const { result, errorReason } = await on.restore(target, run)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    const pulled = [one.digest, index.digest, ...index.children.map(({ digest }) => digest), signature.digest]
    for (const reference of ['1.0', 'latest', ...pulled]) await images.pull(target, 'team/app', reference)
    assert.deepEqual(await images.tags(target, 'team/app'), await images.tags(source, 'team/app'))
    assert.deepEqual(await images.referrers(target, 'team/app', one.digest), [signature.digest])
    assert.deepEqual(await images.versions(target), await images.versions(source))
    const again = await count(target, 'change_log')
    await on.restore(target, run)
    assert.equal(await count(target, 'change_log'), again)

    // The tag is another image here: it is what the backup says afterwards, and the image itself stays.
    const other = await images.push(target, 'team/app', '1.0', { layers: [Buffer.from('another')] })
    assert.equal((await on.restore(target, run)).result, 'SUCCESS')
    assert.equal(await images.digestAt(target, 'team/app', '1.0'), one.digest)
    for (const reference of ['1.0', other.digest]) await images.pull(target, 'team/app', reference)
  })

  it('given a rehearsal, when it ran, then it says what it would do and the server is as empty as before', async (t) => {
    await using on = await site(dialect, t.signal)
    const source = await on.server('source')
    await fill(source, t.signal)
    const run = await on.backUp(source)
    const target = await on.server('target')
    const { result, report, progress } = await on.restore(target, run, { dryRun: true })
    assert.equal(result, 'SUCCESS')
    assert.equal(report!.dryRun, true)
    assert.equal(progress!.bytes, 3_000_004)
    for (const table of ['project', 'repository', 'node', 'change_log', 'blob'] as const) {
      assert.equal(await count(target, table), 0, table)
    }
  })

  it('given a place that is no backup, when it is restored, then nothing comes of it and the place is untouched', async (t) => {
    await using on = await site(dialect, t.signal)
    const target = await on.server('target')
    await assert.rejects(on.refused(target, join(on.root, 'nowhere')), /storeLocation/)
    const odd = join(on.root, 'odd')
    await mkdir(odd)
    await writeFile(join(odd, 'readme'), 'hello')
    const before = await stat(odd)
    await assert.rejects(on.refused(target, odd), /storeLocation/)
    assert.equal((await on.restore(target, odd, { legacy: true })).result, 'FAILED')
    assert.equal(await count(target, 'repository'), 0)
    assert.deepEqual([await readdir(odd), (await stat(odd)).mtimeMs], [['readme'], before.mtimeMs])
    assert.equal(dirname(odd), on.root)
  })
})

type Table = 'project' | 'repository' | 'node' | 'change_log' | 'blob'
async function count({ db }: LocalCluster, table: Table, which: 'all' | 'live' = 'all'): Promise<number> {
  let query = db.read.selectFrom(table).select((eb) => eb.fn.countAll<number>().as('n'))
  if (which === 'live') query = query.where('deleted_at' as never, 'is', null)
  return Number((await query.executeTakeFirstOrThrow()).n)
}
/** Sizes of stored contents. */
const blobs = async ({ db }: LocalCluster): Promise<number[]> =>
  (await db.read.selectFrom('blob').select('size').orderBy('size').execute()).map(({ size }) => size)
