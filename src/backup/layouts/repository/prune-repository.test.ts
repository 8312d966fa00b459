import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import {
  backUp,
  dyingLocations,
  type Files,
  readBack,
  repositoryLayout,
  SIGNAL,
  START,
  settableClock,
} from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import type { RepositoryLayout } from './repository-layout.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const real = { runId: 'p', mode: 'for real', wait: 'no' } as const

async function checkAll(layout: RepositoryLayout, place: string, expected: Files): Promise<void> {
  const report = await layout.verify(`${place}/repo`, { percent: 100, subset: undefined }, () => undefined, SIGNAL)
  assert.deepEqual([report.wrong, report.findings], [0, []])
  const [newest] = await layout.list(place, undefined, SIGNAL)
  await using reader = await layout.openReader(newest!.path, 'whole', SIGNAL)
  assert.deepEqual(await readBack(reader), expected)
}

/** Two snapshots without a content in common; the first is taken away. */
async function twoRuns(
  layout: RepositoryLayout,
  place: string,
): Promise<{ readonly gone: Files; readonly kept: Files }> {
  const gone = { '/old': randomBytes(300_000), '/small': randomBytes(1_000) }
  const kept = { '/new': randomBytes(300_000), '/few': randomBytes(2_000) }
  const { path } = await backUp(layout, place, gone)
  await backUp(layout, place, kept, { startedAt: START + HOUR })
  await layout.removeSnapshots(`${place}/repo`, [basename(path)], SIGNAL)
  return { gone, kept }
}

describe('prune of a repository', () => {
  it('given objects that were marked by a clock that was ahead, when prunes go on, then they are removed a day after the next one', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using layout = repositoryLayout({ clock })
    const { kept } = await twoRuns(layout, dir.path)
    clock.at += 1_000 * DAY
    await layout.prune(dir.file('repo'), real, SIGNAL)
    clock.at -= 999 * DAY
    await layout.prune(dir.file('repo'), real, SIGNAL)
    clock.at += DAY
    assert.equal((await layout.prune(dir.file('repo'), real, SIGNAL)).removed, 2)
    await checkAll(layout, dir.path, kept)
  })

  it('given objects that nobody needs, when a prune comes, then it marks them, and a day later one removes them', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using layout = repositoryLayout({ clock })
    const { kept } = await twoRuns(layout, dir.path)
    const dry = await layout.prune(dir.file('repo'), { ...real, mode: 'dry run' }, SIGNAL)
    const first = await layout.prune(dir.file('repo'), real, SIGNAL)
    assert.deepEqual([dry.marked, first.marked, first.removed], [2, 2, 0])
    clock.at += DAY - 1
    assert.deepEqual((await layout.prune(dir.file('repo'), real, SIGNAL)).removed, 0)
    clock.at += 1
    const last = await layout.prune(dir.file('repo'), real, SIGNAL)
    assert.equal(last.removed, 2)
    assert.ok(last.removedBytes > 300_000)
    await checkAll(layout, dir.path, kept)
    assert.equal((await layout.prune(dir.file('repo'), real, SIGNAL)).objects, 2)
  })

  it('given a marked object, when a backup relies on it meanwhile, then it is not removed', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using layout = repositoryLayout({ clock })
    const { gone } = await twoRuns(layout, dir.path)
    await layout.prune(dir.file('repo'), real, SIGNAL)
    const { sent } = await backUp(layout, dir.path, gone, { startedAt: START + 2 * HOUR })
    assert.equal(sent, 0)
    clock.at += 2 * DAY
    const { unmarked, removed } = await layout.prune(dir.file('repo'), real, SIGNAL)
    assert.deepEqual([unmarked, removed], [2, 0])
    await checkAll(layout, dir.path, gone)
  })

  it('given a pack of which little is in use, when a prune comes, then it is written anew and goes a day later', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using layout = repositoryLayout({ clock })
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`/${at}`, randomBytes(20_000)]))
    const few = { '/1': many['/1']! }
    const { path } = await backUp(layout, dir.path, many)
    await backUp(layout, dir.path, few, { startedAt: START + HOUR })
    await layout.removeSnapshots(dir.file('repo'), [basename(path)], SIGNAL)
    const first = await layout.prune(dir.file('repo'), real, SIGNAL)
    assert.deepEqual([first.rewritten, first.marked], [1, 1])
    await checkAll(layout, dir.path, few)
    clock.at += DAY
    const last = await layout.prune(dir.file('repo'), real, SIGNAL)
    assert.deepEqual([last.rewritten, last.removed], [0, 1])
    await checkAll(layout, dir.path, few)
  })

  it('given a snapshot that cannot be read, when a prune comes, then nothing is removed', async () => {
    await using dir = await tempDir()
    const clock = settableClock()
    await using layout = repositoryLayout({ clock })
    const { kept } = await twoRuns(layout, dir.path)
    await layout.prune(dir.file('repo'), real, SIGNAL)
    clock.at += DAY
    const broken = dir.file('repo', 'snapshots', 'other-20260101.000000')
    await writeFile(broken, 'broken')
    await assert.rejects(layout.prune(dir.file('repo'), real, SIGNAL), /Nothing was removed/)
    await rm(broken)
    await checkAll(layout, dir.path, kept)
  })

  it('given a repository that has lost its indexes, when a prune comes, then they are made anew from the data', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ clock: settableClock() })
    const { kept } = await twoRuns(layout, dir.path)
    await rm(dir.file('repo', 'index'), { recursive: true })
    await layout.prune(dir.file('repo'), real, SIGNAL)
    await checkAll(layout, dir.path, kept)
    const { sent } = await backUp(layout, dir.path, kept, { startedAt: START + 2 * HOUR })
    assert.equal(sent, 0)
  })

  it('given a prune that dies at any write, when others come, then every snapshot stays whole and the rest goes', async () => {
    for (let diesAt = 0; ; diesAt++) {
      await using dir = await tempDir()
      const clock = settableClock()
      await using layout = repositoryLayout({ clock })
      const { kept } = await twoRuns(layout, dir.path)
      await layout.prune(dir.file('repo'), real, SIGNAL)
      clock.at += DAY
      const dying = dyingLocations(diesAt)
      await using killed = repositoryLayout({ clock, locationAt: dying.locationAt })
      const isDead = await killed.prune(dir.file('repo'), real, SIGNAL).then(
        () => dying.writes() > diesAt,
        () => true,
      )
      await using after = repositoryLayout({ clock })
      await checkAllLoosely(after, dir.path, kept)
      await after.sweep({ place: dir.path, runId: 'p' }, SIGNAL)
      await after.prune(dir.file('repo'), real, SIGNAL)
      clock.at += DAY
      await after.prune(dir.file('repo'), real, SIGNAL)
      await checkAll(after, dir.path, kept)
      assert.equal((await after.prune(dir.file('repo'), real, SIGNAL)).objects, 2)
      if (!isDead) return
    }
  })
})

/** Objects without an index are told, and do no harm. */
async function checkAllLoosely(layout: RepositoryLayout, place: string, expected: Files): Promise<void> {
  const report = await layout.verify(`${place}/repo`, { percent: 100, subset: undefined }, () => undefined, SIGNAL)
  assert.equal(report.wrong, 0)
  const [newest] = await layout.list(place, undefined, SIGNAL)
  await using reader = await layout.openReader(newest!.path, 'whole', SIGNAL)
  assert.deepEqual(await readBack(reader), expected)
}
