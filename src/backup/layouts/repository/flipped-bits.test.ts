import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import {
  backUp,
  type Files,
  repositoryLayout,
  SIGNAL,
  START,
  settableClock,
} from '../../../../test/helpers/backup-repositories.ts'
import { seededRandom } from '../../../../test/helpers/ids.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import type { RepositoryLayout } from './repository-layout.ts'

const FLIPS = 200

for (const [way, passphrase] of [
  ['encrypted', 'correct horse'],
  ['not encrypted', undefined],
] as const) {
  it(`given a repository, ${way}, when any of ${FLIPS} bits of any of its objects is flipped, then verify notices`, async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ passphrase: async () => passphrase, clock: settableClock() })
    const files: Files = {
      '/a': randomBytes(2_000),
      '/b': Buffer.from('text '.repeat(1_000)),
      '/large': randomBytes(300_000),
    }
    await backUp(layout, dir.path, files, { compression: true })
    const { path } = await backUp(layout, dir.path, { '/a': randomBytes(500) }, { startedAt: START + 1_000 })
    if (passphrase !== undefined)
      await layout.keys.add(dir.file('repo'), { passphrase: 'another', label: 'second' }, SIGNAL)
    // So that there are marks, too.
    await layout.removeSnapshots(dir.file('repo'), [path.split('/').at(-1)!], SIGNAL)
    const { marked } = await layout.prune(dir.file('repo'), { runId: 'p', mode: 'for real', wait: 'no' }, SIGNAL)
    assert.ok(marked > 0)
    assert.equal(await isSound(layout, dir.file('repo')), true)
    const objects = await filesBelow(dir.file('repo'))
    assert.deepEqual(
      new Set(objects.map((object) => object.slice(dir.file('repo').length + 1).split('/')[0])),
      new Set(['config', 'data', 'index', 'marks', 'snapshots', ...(passphrase === undefined ? [] : ['keys'])]),
    )
    const random = seededRandom(7)
    for (let flip = 0; flip < FLIPS; flip++) {
      // Each object as often as the others: most bits would be those of the large one.
      const object = objects[flip % objects.length]!
      const bytes = await readFile(object)
      const bit = Math.floor(random.next() * bytes.length * 8)
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      await writeFile(object, flipped)
      // A process that has all of it in memory reads it all the same.
      assert.equal(await isSound(layout, dir.file('repo')), false, `bit ${bit} of ${object}`)
      await writeFile(object, bytes)
    }
    assert.equal(await isSound(layout, dir.file('repo')), true)
  })
}

async function isSound(layout: RepositoryLayout, path: string): Promise<boolean> {
  try {
    const { wrong } = await layout.verify(path, { percent: 100, subset: undefined }, () => undefined, SIGNAL)
    return wrong === 0
  } catch (error) {
    // It cannot even be opened.
    assert.ok(hasCode(error, 'ARTIFACT_BROKEN', 'PERMISSION_DENIED'), String(error))
    return false
  }
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
