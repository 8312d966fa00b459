import assert from 'node:assert/strict'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { ALL_FILES, completeBackup, endOfBackup, startBackup } from '../helpers/backup-calls.ts'
import { digestOf } from '../helpers/blobs.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { rdsFormat } from '../helpers/rds-format.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { tempDir } from '../helpers/temp.ts'

const FILES = 'demo/files'
const LARGE = 'x'.repeat(70_000)
/** Records of a file of a run folder. */
type Records = Record<string, unknown>[]

interface Site extends AsyncDisposable {
  readonly cluster: LocalCluster
  upload(path: string, text: string, more?: Record<string, string>): Promise<void>
  remove(path: string): Promise<void>
  text(path: string): Promise<string | undefined>
  /** Version 1.0.0 of `name` as `name/1.0.0`. */
  publish(version: string, text: string): Promise<void>
  download(version: string): Promise<string | undefined>
}

async function site(dialect: TestDialect, root: string, signal: AbortSignal): Promise<Site> {
  const env = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
  const cluster = await startCluster({ name: 'center', dialect, env, formats: [rdsFormat] })
  const { api, url } = cluster
  const ask = (method: string, path: string, body?: string) =>
    fetch(`${url}${path}`, { method, signal, headers: { authorization: api.authorization }, ...(body && { body }) })
  const textOf = async (path: string) => {
    const answer = await ask('GET', path)
    const text = await answer.text()
    return answer.ok ? text : undefined
  }
  return {
    cluster,
    async upload(path, text, more = {}) {
      await api.upload(FILES, path, Buffer.from(text), { 'x-bkrepo-overwrite': 'true', ...more }, signal)
    },
    async remove(path) {
      const answer = await ask('DELETE', `/generic/${FILES}${path}`)
      assert.ok(answer.ok, `${answer.status}`)
    },
    text: (path) => textOf(`/generic/${FILES}${path}`),
    async publish(version, text) {
      const answer = await ask('PUT', `/rds/demo/packages/${version}`, text)
      assert.ok(answer.ok, `${answer.status} ${await answer.text()}`)
    },
    download: (version) => textOf(`/rds/demo/packages/${version}`),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

async function madeSite(dialect: TestDialect, root: string, signal: AbortSignal): Promise<Site> {
  const made = await site(dialect, root, signal)
  await createRepository(made.cluster.api, FILES, signal)
  const packages = { projectId: 'demo', name: 'packages', type: 'RDS', public: true, description: 'packages' }
  await made.cluster.api.call('POST', '/repository/api/repo/create', packages, signal)
  return made
}

const backup = (name: string, content: object = {}, backupSetting: object = {}) => ({
  ...{ name, storeLocation: 'nightly', content: { ...ALL_FILES, ...content }, backupSetting },
})
const restore = (location: string, conflictStrategy = 'OVERWRITE') => ({
  ...{ name: 'back', type: 'DATA_RESTORE', storeLocation: location, content: ALL_FILES },
  backupSetting: { conflictStrategy },
})
const recordsOf = async (folder: string, path: string): Promise<Records> =>
  (await readFile(join(folder, path), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const pathsOf = async (folder: string, path = `${FILES}/node.json`) =>
  (await recordsOf(folder, path)).map(({ fullPath }) => fullPath)
const contentsOf = async (folder: string) =>
  (await readdir(join(folder, 'bk+store'), { recursive: true })).filter((path) => path.length > 60).sort()

eachDialect('runs of backup', (dialect) => {
  it('case 4: given common data and no projects, when it is backed up, then there are its files and no repository', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using on = await madeSite(dialect, dir.path, signal)
    const { artifactLocation } = await completeBackup(
      on.cluster.api,
      { name: 'users', storeLocation: '.', content: { commonData: true } },
      signal,
    )
    const names = (await readdir(artifactLocation!)).sort()
    for (const name of ['user', 'role', 'temporary_token', 'permission', 'account']) {
      assert.ok(names.includes(`${name}.json`), name)
    }
    assert.ok(!names.includes('demo') && !names.includes('bk+store'))
  })

  it('case 11: given files, two of equal content, when they are backed up, then contents lie at their digests, each once', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using on = await madeSite(dialect, dir.path, signal)
    await on.upload('/a/one.txt', 'same', { 'x-bkrepo-meta-color': 'blue' })
    await on.upload('/a/two.txt', 'same')
    await on.upload('/large.txt', LARGE)
    const { artifactLocation: folder } = await completeBackup(on.cluster.api, backup('all'), signal)
    const nodes = await recordsOf(folder!, `${FILES}/node.json`)
    assert.deepEqual(
      nodes.map(({ fullPath }) => fullPath),
      ['/a', '/a/one.txt', '/a/two.txt', '/large.txt'],
    )
    assert.deepEqual(
      await contentsOf(folder!),
      [digestOf('same'), digestOf(LARGE)]
        .map((digest) => digest.slice(7))
        .map((hex) => `${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`)
        .sort(),
    )
    const manifest = JSON.parse(await readFile(join(folder!, 'manifest.json'), 'utf8')) as Record<string, unknown>
    assert.deepEqual([manifest.blobCount, manifest.blobBytes, manifest.errors], [2, 4 + LARGE.length, 0])
  })

  it('case 22: given a full backup and an increment, when both are restored in turn, then deletions, changes and versions are there', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using target = await site(dialect, dir.path, signal)
    let chain: string[] = []
    {
      await using on = await madeSite(dialect, dir.path, signal)
      await on.upload('/a.txt', 'a')
      await on.upload('/b.txt', 'b')
      await on.publish('lib/1.0.0', 'one')
      const full = await completeBackup(on.cluster.api, backup('full'), signal)
      const since = new Date().toISOString()
      await on.remove('/a.txt')
      await on.upload('/b.txt', 'changed')
      await on.publish('lib/2.0.0', 'two')
      const content = { increment: true, incrementDate: since }
      const more = await completeBackup(on.cluster.api, backup('more', content), signal)
      chain = [full.artifactLocation!, more.artifactLocation!]
      assert.deepEqual(await pathsOf(chain[1]!), ['/b.txt'])
    }
    for (const path of chain) await completeBackup(target.cluster.api, restore(path, 'SKIP'), signal)
    assert.deepEqual([await target.text('/a.txt'), await target.text('/b.txt')], ['a', 'b'])
    for (const path of chain) await completeBackup(target.cluster.api, restore(path), signal)
    assert.deepEqual([await target.text('/a.txt'), await target.text('/b.txt')], [undefined, 'changed'])
    assert.deepEqual([await target.download('lib/1.0.0'), await target.download('lib/2.0.0')], ['one', 'two'])
  })

  for (const layout of ['FOLDER', 'REPOSITORY']) {
    it(`case 23: given writes all the time, when a backup (${layout}) is made and restored, then it is of one moment and nothing is missing`, async ({
      signal,
    }) => {
      await using dir = await tempDir()
      await using target = await site(dialect, dir.path, signal)
      let path = ''
      {
        await using on = await madeSite(dialect, dir.path, signal)
        const names = Array.from({ length: 8 }, (_, index) => `/file-${index}.txt`)
        for (const name of names) await on.upload(name, '0')
        const done = new AbortController()
        let rounds = 0
        const writing = (async () => {
          for (let round = 1; !done.signal.aborted; round++) {
            for (const name of names) await on.upload(name, String(round))
            await on.publish(`lib-${round}/1.0.0`, `content ${round}`)
            rounds = round
          }
        })()
        while (rounds < 2) await on.text('/file-0.txt')
        const made = await completeBackup(on.cluster.api, backup('all', {}, { layout }), signal)
        done.abort()
        await writing
        path = made.artifactLocation!
        assert.equal(made.errorReason, null)
      }
      await completeBackup(target.cluster.api, restore(path), signal)
      const values: number[] = []
      for (let index = 0; index < 8; index++) values.push(Number(await target.text(`/file-${index}.txt`)))
      const [first = 0] = values
      // Written one after the other: those before some place are of a round, the rest of the one before.
      assert.deepEqual(
        values,
        values.toSorted((a, b) => b - a),
      )
      assert.ok(first >= 2 && first - values.at(-1)! <= 1, values.join())
      for (let round = 1; round < first; round++) {
        assert.equal(await target.download(`lib-${round}/1.0.0`), `content ${round}`)
      }
    })
  }

  it('case 25: given a content that is gone from the store, when it is backed up, then the run is PARTIAL, or FAILED with nothing published', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using on = await madeSite(dialect, dir.path, signal)
    const { api, blobsDir } = on.cluster
    await on.upload('/kept.txt', 'kept')
    await on.upload('/folder/lost.txt', LARGE)
    const hex = digestOf(LARGE).slice(7)
    await rm(join(blobsDir, hex.slice(0, 2), hex.slice(2, 4), hex))
    const partial = await endOfBackup(api, await startBackup(api, backup('some'), signal), signal)
    assert.equal(partial.result, 'PARTIAL')
    assert.match(partial.errorReason!, /lost\.txt: it is missing from the store; all are in errors\.json of \//)
    const [error] = await recordsOf(partial.artifactLocation!, 'errors.json')
    assert.deepEqual(partial.report!.errors, [error])
    assert.equal(error!.path, `${FILES}/folder/lost.txt`)
    const fast = backup('none', {}, { errorStrategy: 'FAST_FAIL' })
    const failed = await endOfBackup(api, await startBackup(api, fast, signal), signal)
    assert.equal(failed.result, 'FAILED')
    assert.match(
      failed.errorReason!,
      /^demo\/files\/folder\/lost\.txt cannot be backed up: it is missing from the store/,
    )
    // There is no folder when it failed before the first file.
    assert.deepEqual(await readdir(join(dir.path, 'nightly', 'none')).catch(() => []), [])
  })
})
