import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { backUp, repositoryLayout, SIGNAL, START, settableClock } from '../../../test/helpers/backup-repositories.ts'
import { backedUp, plainLayouts, requestFor, writeRun } from '../../../test/helpers/backup-runs.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { RepositoryLayout } from '../layouts/repository/repository-layout.ts'
import { parseSnapshotPath } from '../layouts/repository/repository-place.ts'
import type { BackupSetting, Retention } from '../tasks/backup-task.ts'
import type { ActivityRun } from './activity.ts'
import { createProgress } from './progress.ts'
import { applyRetention, createPruneActivity } from './prune.ts'
import { createVerifyActivity } from './verify.ts'

const DAY = 24 * 3_600_000
const KEEP_NONE: Retention = {
  keepLast: null,
  keepDaily: null,
  keepWeekly: null,
  keepMonthly: null,
  keepYearly: null,
  keepWithin: null,
}

const layoutsOver = (
  repository: RepositoryLayout,
): Pick<Layouts, 'incomplete' | 'isRun' | 'list' | 'openReader' | 'remove'> => ({
  incomplete: async () => [],
  isRun: async (path) => repository.isSnapshot(path),
  list: repository.list,
  openReader: repository.openReader,
  async remove({ path }, signal) {
    const { repository: folder, snapshot } = parseSnapshotPath(path)!
    await repository.removeSnapshots(folder, [snapshot], signal)
  },
})
const runOf = (place: string, setting: Partial<BackupSetting>): ActivityRun => ({
  id: 'run',
  task: { name: 'nightly', setting: { readDataPercent: 100, subset: null, dryRun: false, ...setting } } as never,
  by: 'admin',
  startedAt: START,
  place,
  progress: createProgress({ now: () => START }),
})
const dataOf = async (place: string): Promise<string[]> =>
  (await readdir(join(place, 'repo', 'data'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

describe('verify', () => {
  it('given a repository and a snapshot of it, when each is verified, then it says what was read; damage ends it as failed', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: layoutsOver(repository), repository })
    const { path } = await backUp(repository, dir.path, { '/a': randomBytes(300_000) })
    for (const place of [dir.path, dir.file('repo'), path]) {
      const run = runOf(place, {})
      const outcome = await activity.run(run, SIGNAL)
      assert.deepEqual([outcome.result, outcome.report!.wrong], ['SUCCESS', 0], place)
      assert.ok(run.progress.now.bytes > 300_000)
    }
    for (const object of await dataOf(dir.path)) {
      const bytes = await readFile(object)
      bytes[60]! ^= 1
      await writeFile(object, bytes)
    }
    const structure = await activity.run(runOf(path, { readDataPercent: 0, subset: null }), SIGNAL)
    // The records are read in any case, and they are damaged, too.
    assert.equal(structure.result, 'FAILED')
    const outcome = await activity.run(runOf(dir.path, {}), SIGNAL)
    assert.equal(outcome.result, 'FAILED')
    assert.match(outcome.errorReason!, /damaged or missing, the first: /)
  })

  it('given parts of the contents, when each is verified, then together they are all', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: layoutsOver(repository), repository })
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`/${at}`, randomBytes(300_000)]))
    await backUp(repository, dir.path, files)
    let bytes = 0
    for (const subset of ['1/3', '2/3', '3/3']) {
      const run = runOf(dir.path, { readDataPercent: 0, subset })
      await activity.run(run, SIGNAL)
      bytes += run.progress.now.bytes
      assert.ok(run.progress.now.bytes < 20 * 300_000)
    }
    assert.ok(bytes > 20 * 300_000)
  })

  it('given the folder of all snapshots, when it is verified, then all of them are', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: layoutsOver(repository), repository })
    for (const name of ['nightly', 'other']) await backUp(repository, dir.path, { '/a': Buffer.from(name) }, { name })
    for (const place of [dir.file('repo', 'snapshots'), dir.file('repo')]) {
      const outcome = await activity.run(runOf(place, {}), SIGNAL)
      const [verified] = outcome.report!.verified as [{ readonly snapshots: number }]
      assert.deepEqual([outcome.result, verified.snapshots], ['SUCCESS', 2], place)
    }
  })

  it('given folders and zips, when a name, a place or a run is verified, then it is all runs there, or that one', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const layouts = plainLayouts()
    const activity = createVerifyActivity({ layouts, repository })
    const files = [backedUp('/a', 'one')]
    const folder = await writeRun(layouts, requestFor(dir.path, 'FOLDER'), files, SIGNAL)
    const zip = await writeRun(layouts, requestFor(dir.path, 'ZIP'), files, SIGNAL)
    const other = await writeRun(layouts, { ...requestFor(dir.path, 'FOLDER'), name: 'other' }, files, SIGNAL)
    // Somebody has made a backup into a run.
    await writeRun(layouts, requestFor(folder, 'FOLDER'), [backedUp('/b', 'two')], SIGNAL)
    for (const [place, paths] of [
      [dir.path, [folder, zip, other]],
      [dir.file('test1'), [folder, zip]],
      [folder, [folder]],
      [zip, [zip]],
    ] as const) {
      const { result, report } = await activity.run(runOf(place, {}), SIGNAL)
      const verified = (report!.verified as { readonly path: string }[]).map(({ path }) => path)
      assert.deepEqual([result, verified.sort()], ['SUCCESS', [...paths].sort()], place)
    }
  })

  it('given a repository that has lost its config beside a whole run, when the place is verified or pruned, then it is told', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const layouts = plainLayouts()
    await writeRun(layouts, requestFor(dir.path, 'FOLDER'), [backedUp('/a', 'one')], SIGNAL)
    await backUp(repository, dir.path, { '/a': Buffer.from('a') })
    await rm(dir.file('repo/config'))
    const verified = await createVerifyActivity({ layouts, repository }).run(runOf(dir.path, {}), SIGNAL)
    assert.equal(verified.result, 'FAILED')
    assert.match(verified.errorReason!, /has lost its config/)
    const deps = { layouts: layoutsOver(repository), repository, clock: settableClock(), timeZone: 'UTC' }
    const pruning = createPruneActivity(deps).run(runOf(dir.path, { retention: { ...KEEP_NONE, keepLast: 9 } }), SIGNAL)
    await assert.rejects(pruning, /has lost its config/)
  })

  it('given a run that has lost its manifest beside a whole one, when the place is verified, then it is told as incomplete', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const layouts = plainLayouts()
    const activity = createVerifyActivity({ layouts, repository })
    const lost = await writeRun(layouts, requestFor(dir.path, 'FOLDER'), [backedUp('/a', 'one')], SIGNAL)
    await writeRun(layouts, requestFor(dir.path, 'FOLDER'), [backedUp('/a', 'one')], SIGNAL)
    await rm(join(lost, 'manifest.json'))
    const { result, errorReason } = await activity.run(runOf(dir.path, {}), SIGNAL)
    assert.equal(result, 'FAILED')
    assert.ok(errorReason!.includes(`${lost}: [${lost}] has no manifest`), errorReason!)
  })

  it('given a path without a backup, when it is verified, also as legacy, then it says that there is none', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: plainLayouts(), repository })
    for (const legacy of [false, true]) {
      const verifying = activity.run(runOf(dir.path, { legacy }), SIGNAL)
      const isWords = (error: unknown) => error instanceof Error && /^There is no backup in/.test(error.message)
      await assert.rejects(verifying, isWords)
    }
  })

  it('given a repository that is not encrypted, when there is a passphrase, then it is verified and the report says so', async () => {
    await using dir = await tempDir()
    await using plain = repositoryLayout({ passphrase: async () => undefined })
    const { path } = await backUp(plain, dir.path, { '/a': Buffer.from('a') })
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: layoutsOver(repository), repository })
    for (const place of [dir.path, path]) {
      const { result, report } = await activity.run(runOf(place, {}), SIGNAL)
      const [verified] = report!.verified as [{ readonly findings: readonly { readonly reason: string }[] }]
      assert.equal(result, 'SUCCESS')
      assert.match(verified.findings.at(-1)!.reason, /not encrypted, though this server has a passphrase/)
    }
  })
})

describe('prune', () => {
  const days = async (repository: RepositoryLayout, place: string, count: number) => {
    for (let day = 0; day < count; day++) {
      await backUp(repository, place, { '/a': randomBytes(300_000) }, { startedAt: START + day * DAY })
    }
  }

  it('given four snapshots, when two are kept, then a dry run tells it, a real one does it, and data goes a day later', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using repository = repositoryLayout({ clock })
    await days(repository, dir.path, 4)
    clock.at += 4 * DAY
    const deps = { layouts: layoutsOver(repository), repository, clock, timeZone: 'UTC' }
    const activity = createPruneActivity(deps)
    const retention = { ...KEEP_NONE, keepLast: 2 }
    const dry = await activity.run(runOf(dir.path, { retention, dryRun: true }), SIGNAL)
    assert.equal((dry.report!.removed as string[]).length, 2)
    assert.equal((await repository.list(dir.path, undefined, SIGNAL)).length, 4)
    const real = await activity.run(runOf(dir.path, { retention }), SIGNAL)
    assert.deepEqual(real.report!.removed, dry.report!.removed)
    assert.equal((await repository.list(dir.path, undefined, SIGNAL)).length, 2)
    const before = (await dataOf(dir.path)).length
    clock.at += DAY
    await activity.run(runOf(dir.path, { retention }), SIGNAL)
    assert.equal((await dataOf(dir.path)).length, before - 4)
    const verify = createVerifyActivity(deps)
    assert.equal((await verify.run(runOf(dir.path, {}), SIGNAL)).result, 'SUCCESS')
  })

  it('given snapshots of two names, when retention is applied after a backup, then the other name is left alone', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using repository = repositoryLayout({ clock })
    await days(repository, dir.path, 3)
    clock.at += 3 * DAY
    for (const at of [0, 1]) {
      await backUp(repository, dir.path, { '/b': Buffer.from('b') }, { name: 'other', startedAt: START + at * DAY })
    }
    const deps = { layouts: layoutsOver(repository), repository, clock, timeZone: 'UTC' }
    await applyRetention(deps, runOf(dir.path, {}), { ...KEEP_NONE, keepLast: 1 }, SIGNAL)
    assert.equal((await repository.list(dir.path, 'nightly', SIGNAL)).length, 1)
    assert.equal((await repository.list(dir.path, 'other', SIGNAL)).length, 2)
  })
})
