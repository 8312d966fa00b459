import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import {
  backUp,
  draftOf,
  dyingLocations,
  type Files,
  linesOf,
  openTestWriter,
  putFiles,
  readBack,
  repositoryLayout,
  SIGNAL,
  START,
  settableClock,
} from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../../core/digest.ts'
import { hasCode } from '../../../core/errors.ts'
import { pulledFrom } from '../../../core/pull-source.ts'
import type { RecordChunk, VerifyReport } from '../layout.ts'

const HOUR = 3_600_000
const ALL = { percent: 100, subset: undefined }
const text = Buffer.from('the same words again and again. '.repeat(40_000))
const someFiles = (): Files => ({
  '/empty': Buffer.alloc(0),
  '/a/small': Buffer.from('one'),
  '/a/same': Buffer.from('one'),
  '/a/random': randomBytes(70_000),
  '/b/large': randomBytes(3 * 1024 * 1024 + 17),
  '/b/text': text,
})
const objectsIn = async (place: string): Promise<string[]> => {
  const entries = await readdir(join(place, 'repo', 'data'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
const sound = (report: VerifyReport) => assert.deepEqual([report.wrong, report.findings], [0, []])

for (const [way, passphrase] of [
  ['encrypted', 'correct horse'],
  ['not encrypted', undefined],
] as const) {
  describe(`repository layout, ${way}`, () => {
    const secret = { passphrase: async () => passphrase }

    for (const compression of [false, true]) {
      it(`given files of all sizes, when they are backed up (compression ${compression}), then all come back and all is verified`, async () => {
        await using dir = await tempDir()
        await using layout = repositoryLayout(secret)
        const files = someFiles()
        const { path, manifest } = await backUp(layout, dir.path, files, { compression })
        assert.equal(path, dir.file('repo', 'snapshots', 'nightly-20260101.000000'))
        assert.equal(manifest.blobCount, 5)
        // Another process, which has nothing in memory.
        await using other = repositoryLayout(secret)
        await using reader = await other.openReader(path, 'whole', SIGNAL)
        assert.deepEqual(await readBack(reader), files)
        assert.deepEqual(reader.manifest, manifest)
        sound(await reader.verify(ALL, () => undefined, SIGNAL))
        sound(await other.verify(dir.file('repo'), ALL, () => undefined, SIGNAL))
      })
    }

    it('given a backup, when nothing changed, then its parts are kept and no data is written', async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout(secret)
      const files = someFiles()
      const first = await backUp(layout, dir.path, files)
      const before = await objectsIn(dir.path)
      await using writer = await openTestWriter(layout, dir.path, { startedAt: START + HOUR })
      const { base } = writer
      const kept = async function* (): AsyncGenerator<RecordChunk> {
        for (const part of base!.files[0]!.parts!) yield { kept: part }
      }
      const records = await writer.putRecords('pr/repo/node.json', kept(), SIGNAL)
      const manifest = await writer.publish(draftOf([records], { startedAt: START + HOUR }), SIGNAL)
      assert.deepEqual(base, first.manifest)
      assert.deepEqual(await objectsIn(dir.path), before)
      assert.deepEqual([manifest.blobCount, manifest.files], [first.manifest.blobCount, first.manifest.files])
      await using reader = await layout.openReader(writer.artifactLocation, 'whole', SIGNAL)
      assert.deepEqual(await readBack(reader), files)
    })

    it('given a backup, when one file changes, then only that one is stored, under whatever name the run has', async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout(secret)
      const files = someFiles()
      await backUp(layout, dir.path, files)
      const changed = { ...files, '/a/small': Buffer.from('two') }
      const { path, sent } = await backUp(layout, dir.path, changed, { name: 'other' })
      assert.equal(sent, 1)
      await using reader = await layout.openReader(path, 'whole', SIGNAL)
      assert.deepEqual(await readBack(reader), changed)
    })

    it('given a content that is not what its digest says, when it is put, then it is refused and nothing of it stays', async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout(secret)
      await using writer = await openTestWriter(layout, dir.path)
      for (const size of [1_000, 300_000]) {
        const [bytes, other] = [randomBytes(size), randomBytes(size)]
        const digest = digestOfBytes(bytes)
        for (const wrong of [other, bytes.subarray(1), Buffer.concat([bytes, Buffer.from('x')])]) {
          const open = async () => pulledFrom(Readable.from([wrong]))
          const put = writer.putLarge({ digest, sizeBytes: size }, open, () => undefined, SIGNAL)
          await assert.rejects(put, (error) => hasCode(error, 'ARTIFACT_BROKEN'))
        }
        assert.equal((await writer.held([digest], SIGNAL)).size, 0)
      }
      assert.deepEqual(await objectsIn(dir.path), [])
    })

    it('given a content that could not be read, when the run is verified, then it is not missed; the next run does not build on it', async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout(secret)
      const files = someFiles()
      const { '/b/large': lost, ...rest } = files
      await using writer = await openTestWriter(layout, dir.path)
      await putFiles(writer, rest)
      const chunk = { lines: Buffer.from(`${linesOf(files).join('\n')}\n`), records: 6, first: '/a' }
      const records = await writer.putRecords('pr/repo/node.json', [chunk].values() as never, SIGNAL)
      await writer.publish(draftOf([records], { result: 'PARTIAL' }), SIGNAL)
      await using reader = await layout.openReader(writer.artifactLocation, 'whole', SIGNAL)
      sound(await reader.verify(ALL, () => undefined, SIGNAL))
      await assert.rejects(reader.open({ digest: digestOfBytes(lost!), sizeBytes: lost!.length }, SIGNAL), (error) =>
        hasCode(error, 'BLOB_UNKNOWN'),
      )
      await using next = await openTestWriter(layout, dir.path, { startedAt: START + HOUR })
      assert.equal(next.base, undefined)
    })

    it('given a data object that somebody deleted, when all is verified, then it is told; after a prune the next backup stores it again', async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout({ ...secret, clock: settableClock() })
      const files = someFiles()
      const { path } = await backUp(layout, dir.path, files)
      const [large] = await largestFirst(dir.path)
      await rm(large!)
      const report = await layout.verify(dir.file('repo'), { percent: 0, subset: undefined }, () => undefined, SIGNAL)
      assert.equal(report.wrong, 1)
      await using reader = await layout.openReader(path, 'whole', SIGNAL)
      assert.equal((await reader.verify({ percent: 0, subset: undefined }, () => undefined, SIGNAL)).wrong, 1)
      const pruned = await layout.prune(dir.file('repo'), { runId: 'p', mode: 'for real', wait: 'no' }, SIGNAL)
      assert.equal(pruned.lost.length, 1)
      const again = await backUp(layout, dir.path, files, { startedAt: START + HOUR })
      assert.equal(again.sent, 1)
      sound(await layout.verify(dir.file('repo'), ALL, () => undefined, SIGNAL))
    })

    it('given objects of a killed run that no index has, when the next run comes, swept or not, then it uses them', async () => {
      for (const swept of [true, false]) {
        await using dir = await tempDir()
        const files = { '/a': randomBytes(300_000), '/b': Buffer.from('b') }
        // All data is published, the index is not.
        const dying = dyingLocations(11)
        await using killed = repositoryLayout({ ...secret, locationAt: dying.locationAt })
        await assert.rejects(backUp(killed, dir.path, files))
        assert.ok((await objectsIn(dir.path)).length > 0)
        await using layout = repositoryLayout(secret)
        if (swept) await layout.sweep({ place: dir.path, runId: `run-${START}` }, SIGNAL)
        const { sent } = await backUp(layout, dir.path, files, { startedAt: START + HOUR })
        assert.ok(sent < 2, `swept ${swept}`)
      }
    })
  })
}

const largestFirst = async (place: string): Promise<string[]> => {
  const sized = await Promise.all(
    (await objectsIn(place)).map(async (path) => ({ path, size: (await stat(path)).size })),
  )
  return sized.sort((a, b) => b.size - a.size).map(({ path }) => path)
}

describe('repository layout', () => {
  it('given a run that dies at any write, when the next one comes, then nothing broken is visible and it ends well', async () => {
    const files = { '/a': Buffer.from('a'), '/b': randomBytes(300_000) }
    for (let diesAt = 0; ; diesAt++) {
      await using dir = await tempDir()
      const dying = dyingLocations(diesAt)
      await using killed = repositoryLayout({ locationAt: dying.locationAt, clock: settableClock() })
      const isDead = await backUp(killed, dir.path, files).then(
        () => dying.writes() > diesAt,
        () => true,
      )
      await using layout = repositoryLayout({ clock: settableClock() })
      for (const { path } of await layout.list(dir.path, undefined, SIGNAL)) {
        await using reader = await layout.openReader(path, 'whole', SIGNAL)
        assert.deepEqual(await readBack(reader), files)
      }
      await layout.sweep({ place: dir.path, runId: `run-${START}` }, SIGNAL)
      const { path } = await backUp(layout, dir.path, files, { startedAt: START + HOUR })
      await using reader = await layout.openReader(path, 'whole', SIGNAL)
      assert.deepEqual(await readBack(reader), files)
      sound(await layout.verify(dir.file('repo'), ALL, () => undefined, SIGNAL))
      assert.deepEqual(await readdir(dir.file('repo', 'locks')), [])
      assert.ok((await objectsIn(dir.path)).every((object) => !object.endsWith('.partial')))
      if (!isDead) return
    }
  })

  it('given another passphrase, when the repository is opened, then the refusal says what to do', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    const { path } = await backUp(layout, dir.path, { '/a': Buffer.from('a') })
    await using other = repositoryLayout({ passphrase: async () => 'wrong' })
    await assert.rejects(other.openReader(path, 'whole', SIGNAL), /do not open with the configured passphrase/)
    await using none = repositoryLayout({ passphrase: async () => undefined })
    await assert.rejects(none.openReader(path, 'whole', SIGNAL), /no passphrase is configured/)
  })

  it('given two keys, when the first is removed, then the second still opens it and the last cannot be removed', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    const { path } = await backUp(layout, dir.path, { '/a': Buffer.from('a') })
    const repo = dir.file('repo')
    const [first] = await layout.keys.list(repo, SIGNAL)
    const second = await layout.keys.add(repo, { passphrase: 'another', label: 'second' }, SIGNAL)
    await using other = repositoryLayout({ passphrase: async () => 'another' })
    await other.keys.remove(repo, first!.id, SIGNAL)
    await using reader = await other.openReader(path, 'whole', SIGNAL)
    assert.equal(reader.layout, 'REPOSITORY')
    await assert.rejects(other.keys.remove(repo, second, SIGNAL), (error) => hasCode(error, 'DELETION_REFUSED'))
    await using stale = repositoryLayout()
    await assert.rejects(stale.openReader(path, 'whole', SIGNAL), (error) => hasCode(error, 'PERMISSION_DENIED'))
  })

  it('given a repository without encryption, when a passphrase is configured, then it is read as legacy only, and not written to', async () => {
    await using dir = await tempDir()
    await using plain = repositoryLayout({ passphrase: async () => undefined })
    const { path } = await backUp(plain, dir.path, { '/a': Buffer.from('a') })
    await using layout = repositoryLayout()
    await assert.rejects(
      layout.openReader(path, 'whole', SIGNAL),
      (error) => hasCode(error, 'ARTIFACT_BROKEN') && /not encrypted.*legacy=true/.test(error.message),
    )
    await using reader = await layout.openReader(path, 'legacy', SIGNAL)
    assert.equal(reader.files.length, 1)
    await assert.rejects(openTestWriter(layout, dir.path), (error) => hasCode(error, 'PRECONDITION_FAILED'))
    assert.deepEqual(await readdir(dir.file('repo', 'locks')), [])
  })

  it('given snapshots of one second and of several names, when they are listed, then each has its own, newest first', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    for (const name of ['nightly', 'nightly', 'night'])
      await backUp(layout, dir.path, { '/a': Buffer.from('a') }, { name })
    const names = async (name?: string) =>
      (await layout.list(dir.path, name, SIGNAL)).map(({ path }) => path.split('/').at(-1))
    assert.deepEqual(await names('nightly'), ['nightly-20260101.000001', 'nightly-20260101.000000'])
    assert.deepEqual(await names('night'), ['night-20260101.000000'])
    assert.equal((await names()).length, 3)
  })

  it('given a folder `repo` that is a link, when anything is done with it, then it is refused and nothing is written there', async () => {
    await using dir = await tempDir()
    for (const folder of ['outside/snapshots', 'place']) await mkdir(dir.file(folder), { recursive: true })
    await symlink(dir.file('outside'), dir.file('place', 'repo'))
    await using layout = repositoryLayout()
    const isLink = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN') && /repo.* is a link/.test(error.message)
    await assert.rejects(backUp(layout, dir.file('place'), { '/a': Buffer.from('a') }), isLink)
    await assert.rejects(layout.list(dir.file('place'), undefined, SIGNAL), isLink)
    await assert.rejects(layout.find(dir.file('place'), SIGNAL), isLink)
    assert.deepEqual(await readdir(dir.file('outside')), ['snapshots'])
  })

  it('given runs of one second, when the first is removed, then the next one is named after the last all the same', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    const back = async () => (await backUp(layout, dir.path, { '/a': Buffer.from('a') })).path.split('/').at(-1)!
    const first = await back()
    await back()
    await layout.removeSnapshots(dir.file('repo'), [first], SIGNAL)
    assert.equal(await back(), 'nightly-20260101.000002')
  })

  it('given drafts of leases and keys, when it is pruned, then old ones go and fresh ones stay', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ clock: settableClock() })
    await backUp(layout, dir.path, { '/a': Buffer.from('a') })
    for (const folder of ['locks', 'keys']) {
      for (const age of ['old', 'fresh']) {
        const draft = dir.file('repo', folder, `${age}.partial`)
        await writeFile(draft, '')
        const longAgo = new Date((await stat(draft)).mtimeMs - 31 * 60_000)
        if (age === 'old') await utimes(draft, longAgo, longAgo)
      }
    }
    await layout.prune(dir.file('repo'), { runId: 'p', mode: 'for real', wait: 'no' }, SIGNAL)
    assert.deepEqual(await readdir(dir.file('repo', 'locks')), ['fresh.partial'])
    const keys = await readdir(dir.file('repo', 'keys'))
    assert.deepEqual([keys.length, keys.includes('fresh.partial')], [2, true])
  })

  it('given a backup at work, when a prune comes, then it is refused, and a stale lease does not stop it', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ clock: settableClock() })
    await backUp(layout, dir.path, { '/a': Buffer.from('a') })
    const prune = () => layout.prune(dir.file('repo'), { runId: 'p', mode: 'for real', wait: 'no' }, SIGNAL)
    await using writer = await openTestWriter(layout, dir.path)
    await assert.rejects(prune(), (error) => hasCode(error, 'FENCED'))
    const [lock] = await readdir(dir.file('repo', 'locks'))
    const path = dir.file('repo', 'locks', lock!)
    const longAgo = new Date((await stat(path)).mtimeMs - 31 * 60_000)
    await utimes(path, longAgo, longAgo)
    await prune()
    // Whoever was taken for dead has lost it, and shows nothing.
    await putFiles(writer, { '/b': Buffer.from('b') })
    const records = await writer.putRecords('x.json', [].values() as never, SIGNAL)
    await assert.rejects(writer.publish(draftOf([records]), SIGNAL), (error) => hasCode(error, 'FENCED'))
    assert.equal((await layout.list(dir.path, undefined, SIGNAL)).length, 1)
  })

  it('given many index objects, when backups go on, then they are made one and all is found', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    for (let hour = 0; hour < 15; hour++) {
      const run = { startedAt: START + hour * HOUR }
      await backUp(layout, dir.path, { '/a': Buffer.from(`${hour}`) }, run)
    }
    assert.ok((await readdir(dir.file('repo', 'index'))).length <= 12)
    sound(await layout.verify(dir.file('repo'), ALL, () => undefined, SIGNAL))
  })
})
