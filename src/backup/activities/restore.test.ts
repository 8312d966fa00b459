import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { logSums } from '../../../test/helpers/packages.ts'
import { restoresOf } from '../../../test/helpers/restore-activity.ts'
import {
  changesOf,
  deletedOf,
  filledSite,
  found,
  restoredContents,
  restoreSite,
} from '../../../test/helpers/restore-site.ts'
import { hasCode } from '../../core/errors.ts'
import { usedBytes } from '../../metadata/repositories/usage.ts'

eachDatabase('a run of restore', (make) => {
  it('case 16: given a backup, when an empty server restores it, then nodes, metadata, dates, authors, versions and sums are equal', async () => {
    const { site } = await filledSite(make)
    await using source = site
    await using target = await restoreSite(make)
    const backup = await source.backUp()
    const { result, errorReason, run } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    assert.deepEqual(await restoredContents(target.db), await restoredContents(source.db))
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
    const { site } = await filledSite(make)
    await using source = site
    await using target = await restoreSite(make)
    const backup = await source.backUp()
    await target.restore(backup)
    const before = [await restoredContents(target.db), await changesOf(target.db), await deletedOf(target.db)]
    await target.clock.advance(60_000)
    for (const conflictStrategy of ['OVERWRITE', 'SKIP'] as const) {
      const { result, opened } = await target.restore(backup, { setting: { conflictStrategy } })
      assert.deepEqual([result, opened], ['SUCCESS', []])
      const after = [await restoredContents(target.db), await changesOf(target.db), await deletedOf(target.db)]
      assert.deepEqual(after, before)
    }
  })

  it('case 26: given contents that are missing or of which a byte is wrong, when restored, then their files are told and the others come', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    const contents = new Map(backup.contents)
    contents.delete(digestOf('same'))
    contents.set(digestOf('x'.repeat(100_000)), Buffer.from(`y${'x'.repeat(99_999)}`))
    await using target = await restoreSite(make)
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
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    await assert.rejects(
      target.restore({ ...backup, spoilt: new Set(['demo/rds/node.json']) }),
      (error) => hasCode(error, 'ARTIFACT_BROKEN') && /demo\/rds\/node\.json/.test(error.message),
    )
    assert.equal(await target.projects.find('demo'), undefined)
  })

  it('case 28: given records that are hostile or broken, when restored, then each is refused by itself', async () => {
    const { site } = await filledSite(make)
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
    await using target = await restoreSite(make)
    const { result, run, report } = await target.restore({ ...backup, files })
    assert.equal(result, 'PARTIAL')
    assert.equal(run.progress.now.failed, 7, JSON.stringify(report!.errors))
    assert.deepEqual(await restoredContents(target.db), await restoredContents(source.db))
  })

  it('given a rehearsal, when it runs, then every content is read, conflicts are judged, and nothing is written', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    const contents = new Map([...backup.contents, [digestOf('x'.repeat(100_000)), Buffer.alloc(100_000)]])
    await using target = await restoreSite(make)
    const { result, run, opened, report } = await target.restore({ ...backup, contents }, { setting: { dryRun: true } })
    assert.equal(result, 'PARTIAL')
    assert.equal(report!.dryRun, true)
    assert.deepEqual(new Set(opened), new Set(backup.contents.keys()))
    assert.deepEqual([run.progress.now.failed, run.progress.now.repos, run.progress.now.versions], [1, 2, 2])
    assert.equal(await target.projects.find('demo'), undefined)
    assert.equal(await changesOf(target.db), 0)
  })

  it('given a rate limit, when large and small contents are restored, then all of them wait their turn', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
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
    assert.deepEqual(await restoredContents(target.db), await restoredContents(source.db))
  })

  it('given more nodes than a batch takes, when the run is cut in the middle and run again, then all are there once', async () => {
    await using source = await restoreSite(make)
    const repository = await makeRepository(source)
    await source.upload(repository, '/n', 'same')
    const backup = await source.backUp()
    const [line] = backup.files.get('demo/files/node.json')!.split('\n')
    const record = JSON.parse(line!) as Record<string, unknown>
    const lines = Array.from({ length: 1_200 }, (_, n) =>
      JSON.stringify({ ...record, fullPath: `/d/${n}`, name: `${n}` }),
    )
    const files = new Map([...backup.files, ['demo/files/node.json', `${lines.join('\n')}\n`]])
    await using target = await restoreSite(make)
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
