import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { backUp, repositoryLayout, SIGNAL, START, settableClock } from '../../../test/helpers/backup-repositories.ts'
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

const layoutsOver = (repository: RepositoryLayout): Pick<Layouts, 'list' | 'openReader' | 'remove'> => ({
  list: repository.list,
  openReader: (path, _, signal) => repository.openReader(path, signal),
  async remove({ path }, signal) {
    const { repository: folder, snapshot } = parseSnapshotPath(path)!
    await repository.removeSnapshots(folder, [snapshot], signal)
  },
})
const runOf = (place: string, setting: Partial<BackupSetting>): ActivityRun => ({
  id: 'r',
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

  it('given a path without a backup, when it is verified, then it fails and says so', async () => {
    await using dir = await tempDir()
    await using repository = repositoryLayout()
    const activity = createVerifyActivity({ layouts: layoutsOver(repository), repository })
    const outcome = await activity.run(runOf(dir.file('nothing'), {}), SIGNAL)
    assert.equal(outcome.result, 'FAILED')
    assert.match(outcome.errorReason!, /is no snapshot/)
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
    for (const at of [0, 1]) {
      await backUp(repository, dir.path, { '/b': Buffer.from('b') }, { name: 'other', startedAt: START + at * DAY })
    }
    const deps = { layouts: layoutsOver(repository), repository, clock, timeZone: 'UTC' }
    await applyRetention(deps, runOf(dir.path, {}), { ...KEEP_NONE, keepLast: 1 }, SIGNAL)
    assert.equal((await repository.list(dir.path, 'nightly', SIGNAL)).length, 1)
    assert.equal((await repository.list(dir.path, 'other', SIGNAL)).length, 2)
  })
})
