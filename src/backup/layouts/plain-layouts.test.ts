import assert from 'node:assert/strict'
import { cp, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  backedUp,
  blobOf,
  manifestDraft,
  nodeOf,
  plainLayouts,
  putRecords,
  RUN_AT,
  readRun,
  requestFor,
  sourceOf,
  writeFiles,
  writeRun,
} from '../../../test/helpers/backup-runs.ts'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../core/digest.ts'
import { type ErrorCode, hasCode } from '../../core/errors.ts'
import { createFsBackupLocation } from '../../storage/fs/backup-location.ts'
import type { OpenFile } from '../../storage/fs/backup-object.ts'
import type { VerifyShare } from './layout.ts'

const signal = new AbortController().signal
const ALL: VerifyShare = { percent: 100, subset: undefined }
const nothing = () => {}
const coded =
  (code: ErrorCode, words = /./) =>
  (error: unknown) =>
    hasCode(error, code) && words.test(error.message)

const FILES = [
  backedUp('/a.txt', 'hello'),
  backedUp('/b.txt', 'hello'),
  backedUp('/c.txt', 'hello world, '.repeat(10_000)),
  backedUp('/d.bin', seededBytes(1, 700_000)),
  backedUp('/empty', ''),
  backedUp('/zeros', Buffer.alloc(3_000_000)),
]
const namesBelow = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true })).map((entry) => join(entry.parentPath, entry.name))

for (const layout of ['FOLDER', 'ZIP'] as const) {
  describe(`layout ${layout}`, () => {
    it('cases 11 and 12: given files of which two are equal, when backed up, then each content is there once and the run verifies', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const path = await writeRun(layouts, requestFor(dir.file('place'), layout), FILES, signal)
      assert.equal(path, dir.file('place/test1', layout === 'ZIP' ? 'test1-20241224.171354.zip' : '20241224.171354'))
      await using reader = await layouts.openReader(path, 'whole', signal)
      assert.equal(reader.manifest?.blobCount, 5)
      assert.equal(reader.manifest?.blobBytes, 5 + 130_000 + 700_000 + 3_000_000)
      assert.equal(reader.layout, layout)
      const report = await reader.verify(ALL, nothing, signal)
      assert.deepEqual([report.wrong, report.findings], [0, []])
      assert.equal(
        (await namesBelow(dir.path)).some((name) => name.includes('.partial')),
        false,
      )
    })

    it('given a run, when it is read, then contents and records are as they were, and others are not there', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const path = await writeRun(layouts, requestFor(dir.path, layout), FILES, signal)
      await using reader = await layouts.openReader(path, 'whole', signal)
      const { contents, records } = await readRun(reader, FILES, signal)
      for (const [expected, found] of contents) assert.equal(found, expected)
      assert.deepEqual(
        new Map(records).get('p1/r1/node.json')?.map((line) => JSON.parse(line)),
        FILES.map(nodeOf),
      )
      assert.deepEqual(new Map(records).get('errors.json'), [])
      assert.deepEqual(await Array.fromAsync(reader.records('p1/r2/node.json', signal)), [])
      const [first, other] = [blobOf(FILES[0]!), blobOf(backedUp('/x', 'other'))]
      const wrongSize = { ...blobOf(FILES[3]!), sizeBytes: 3 }
      const small = await reader.readSmall([first, other, wrongSize], signal)
      assert.deepEqual([...small], [[first.digest, Buffer.from('hello')]])
      await assert.rejects(reader.open(other, signal), coded('BLOB_UNKNOWN'))
      await assert.rejects(reader.open(wrongSize, signal), coded('ARTIFACT_BROKEN'))
    })

    it('case 34: given a run, when its modes are looked at, then files are 0600 and folders 0700', async () => {
      await using dir = await tempDir()
      const before = process.umask(0)
      try {
        await writeRun(plainLayouts(), requestFor(dir.file('place'), layout), FILES, signal)
      } finally {
        process.umask(before)
      }
      for (const name of await namesBelow(dir.path)) {
        const found = await stat(name)
        assert.equal((found.mode & 0o777).toString(8), found.isDirectory() ? '700' : '600', name)
      }
    })

    it('given a run of the same second, when another is made, then it has the name of the next', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const first = await writeRun(layouts, requestFor(dir.path, layout), FILES, signal)
      const second = await writeRun(layouts, requestFor(dir.path, layout), FILES, signal)
      assert.equal(second, first.replace('171354', '171355'))
      const runs = await layouts.list(dir.path, 'test1', signal)
      assert.deepEqual(
        runs.map(({ path, startedAt, name }) => ({ path, startedAt, name })),
        [
          { path: second, startedAt: RUN_AT + 1_000, name: 'test1' },
          { path: first, startedAt: RUN_AT, name: 'test1' },
        ],
      )
      assert.deepEqual(await layouts.list(dir.path, undefined, signal), runs)
      assert.deepEqual(await layouts.list(dir.path, 'other', signal), [])
      await layouts.remove(runs[1]!, signal)
      await layouts.remove(runs[1]!, signal)
      assert.deepEqual(await layouts.list(dir.path, undefined, signal), [runs[0]])
      await assert.rejects(layouts.openReader(first, 'whole', signal), coded('ARTIFACT_BROKEN', /not there/))
      assert.equal(
        (await readdir(dir.file('test1'))).some((name) => name.includes('171354')),
        false,
      )
    })

    it('given contents that are not what their digest says, when put, then each is refused, and nothing has its name', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      await using writer = await layouts.openWriter(requestFor(dir.path, layout), signal)
      const [good, bad] = [seededBytes(2, 400_000), seededBytes(3, 400_000)]
      const { digest } = blobOf(backedUp('/bad', bad))
      const put = (bytes: Buffer, sizeBytes: number) =>
        writer.putLarge({ digest, sizeBytes }, sourceOf(bytes), nothing, signal)
      await assert.rejects(put(good, 400_000), coded('ARTIFACT_BROKEN', /hash to/))
      await assert.rejects(put(bad, 399_999), coded('ARTIFACT_BROKEN', /more than/))
      await assert.rejects(put(bad.subarray(0, 300_000), 400_000), coded('ARTIFACT_BROKEN', /before its end/))
      await assert.rejects(
        writer.putLarge({ digest, sizeBytes: 5 }, () => Promise.reject(new Error('gone')), nothing, signal),
        /gone/,
      )
      assert.deepEqual(await writer.held([digest], signal), new Set())
      const file = backedUp('/good', good)
      await writer.putLarge(blobOf(file), sourceOf(good), nothing, signal)
      await writer.putLarge(blobOf(file), () => Promise.reject(new Error('asked twice')), nothing, signal)
      const missing = { ...nodeOf(backedUp('/bad', bad)) }
      const nodes = await putRecords(writer, 'p1/r1/node.json', [nodeOf(file), missing], signal)
      const errors = await putRecords(writer, 'errors.json', [{ path: 'p1/r1/bad', reason: 'damaged' }], signal)
      await writer.publish(manifestDraft([nodes, errors]), signal)
      await using reader = await layouts.openReader(writer.artifactLocation, 'whole', signal)
      await assert.rejects(reader.open({ digest, sizeBytes: 400_000 }, signal), coded('BLOB_UNKNOWN'))
      assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
    })

    it('given a run that is given up, then nothing of it is left', async () => {
      await using dir = await tempDir()
      {
        await using writer = await plainLayouts().openWriter(requestFor(dir.path, layout), signal)
        await writer.putSmall([{ digest: digestOfBytes('x'), bytes: Buffer.from('x') }], signal)
      }
      await assert.rejects(readdir(dir.file('test1')), { code: 'ENOENT' })
    })

    it('given the only run of a name whose process died, when it is swept, then nothing of the name is left', async () => {
      await using dir = await tempDir()
      const request = requestFor(dir.path, layout)
      await using writer = await plainLayouts().openWriter(request, signal)
      await writer.putSmall([{ digest: digestOfBytes('x'), bytes: Buffer.from('x') }], signal)
      await plainLayouts().sweep(request, signal)
      assert.deepEqual(await readdir(dir.path), [])
    })

    it('given runs of one second, when the first is removed, then the next one is named after the last all the same', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const write = () => writeRun(layouts, requestFor(dir.path, layout), [FILES[0]!], signal)
      await write()
      const second = await write()
      await layouts.remove((await layouts.list(dir.path, 'test1', signal))[1]!, signal)
      assert.equal(await write(), second.replace('171355', '171356'))
    })

    it('case 29: given a run whose process died, when it is swept, then its leftovers are gone and those of others stay', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const request = requestFor(dir.path, layout)
      const whole = await writeRun(layouts, request, FILES, signal)
      await using died = await layouts.openWriter({ ...request, runId: 'run-2' }, signal)
      await died.putSmall([{ digest: digestOfBytes('x'), bytes: Buffer.from('x') }], signal)
      // Of another server, two seconds later.
      await using later = await plainLayouts().openWriter({ ...request, startedAt: RUN_AT + 2_000, runId: 'b' }, signal)
      await later.putSmall([{ digest: digestOfBytes('x'), bytes: Buffer.from('x') }], signal)
      await layouts.sweep({ ...request, runId: 'run-2' }, signal)
      const left = (await readdir(dir.file('test1'))).filter((name) => name.includes('.partial'))
      assert.ok(left.every((name) => name.includes('171356')) && left.length === 2)
      assert.equal((await layouts.list(dir.path, undefined, signal))[0]?.path, whole)
      await writeFiles(later, FILES, signal)
      await using reader = await layouts.openReader(later.artifactLocation, 'whole', signal)
      assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
    })

    it('given servers that share a place, when their runs of a name begin in the same second, then each is whole under a name of its own', async () => {
      await using dir = await tempDir()
      const servers = ['a', 'b', 'c'].map((runId) => ({ request: { ...requestFor(dir.path, layout), runId }, runId }))
      const writers = await Promise.all(servers.map(({ request }) => plainLayouts().openWriter(request, signal)))
      await Promise.all(writers.map((writer, n) => writeFiles(writer, [backedUp(`/${n}`, `of ${n}`)], signal)))
      for (const writer of writers) await writer[Symbol.asyncDispose]()
      for (const [n, { artifactLocation }] of writers.entries()) {
        await using reader = await plainLayouts().openReader(artifactLocation, 'whole', signal)
        assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
        const [node] = await Array.fromAsync(reader.records('p1/r1/node.json', signal))
        assert.equal(JSON.parse(node!).fullPath, `/${n}`)
      }
      assert.deepEqual(
        (await readdir(dir.file('test1'))).filter((name) => name.includes('.partial')),
        [],
      )
    })

    it('case 30: given a disk that is full at 70 %, when backed up, then the refusal names space and nothing is left', async () => {
      await using dir = await tempDir()
      const total = FILES.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const free = layout === 'ZIP' ? 700_000 * 0.7 : total * 0.7
      const layouts = plainLayouts(undefined, (path) => createFsBackupLocation(path, fullAfter(free)))
      const told = coded('STORAGE_UNAVAILABLE', /no space left in the backup place .* bytes are free/)
      await assert.rejects(writeRun(layouts, requestFor(dir.path, layout), FILES, signal), told)
      await assert.rejects(readdir(dir.file('test1')), { code: 'ENOENT' })
    })

    it('given a sealed run, when it is read with another passphrase, with none or after a change, then it is refused', async () => {
      await using dir = await tempDir()
      const path = await writeRun(plainLayouts('correct horse'), requestFor(dir.path, layout), FILES, signal)
      await using reader = await plainLayouts('correct horse').openReader(path, 'whole', signal)
      assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
      const refused = (passphrase: string | undefined, takes: 'whole' | 'legacy', words: RegExp) =>
        assert.rejects(plainLayouts(passphrase).openReader(path, takes, signal), coded('ARTIFACT_BROKEN', words))
      await refused('battery staple', 'legacy', /another passphrase/)
      await refused(undefined, 'legacy', /set backup.passphrase/)
    })

    it('given a run from before there was a passphrase, when it is read, then only legacy takes it', async () => {
      await using dir = await tempDir()
      const path = await writeRun(plainLayouts(), requestFor(dir.path, layout), FILES, signal)
      const layouts = plainLayouts('correct horse')
      await assert.rejects(layouts.openReader(path, 'whole', signal), coded('ARTIFACT_BROKEN', /legacy=true/))
      await using reader = await layouts.openReader(path, 'legacy', signal)
      assert.equal(reader.manifest?.blobCount, 5)
    })

    it('given a share of the contents, when verified, then only these are read', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const path = await writeRun(layouts, requestFor(dir.path, layout), FILES, signal)
      await using reader = await layouts.openReader(path, 'whole', signal)
      const readBy = async (share: VerifyShare) => {
        let bytes = 0
        const report = await reader.verify(share, (count) => (bytes += count), signal)
        assert.equal(report.wrong, 0)
        assert.equal(report.objects, 5 + 3)
        return bytes
      }
      const records = await readBy({ percent: 0, subset: undefined })
      const parts = await Promise.all([1, 2, 3].map((part) => readBy({ percent: 100, subset: { part, of: 3 } })))
      const contents = parts.reduce((sum, bytes) => sum + bytes - records, 0)
      assert.equal(contents, reader.manifest?.blobBytes)
    })

    it('case 26: given bits flipped all over a run, when it is verified, then each is noticed, or does no harm', async () => {
      await using dir = await tempDir()
      const layouts = plainLayouts()
      const files = FILES.slice(0, 3)
      const path = await writeRun(layouts, requestFor(dir.path, layout), files, signal)
      const names = (await namesBelow(dir.file('test1'))).sort()
      const targets: { readonly name: string; readonly bytes: Buffer }[] = []
      for (const name of names) {
        if (!(await stat(name)).isFile()) continue
        const bytes = await readFile(name)
        if (bytes.length > 0) targets.push({ name, bytes })
      }
      for (let turn = 0; turn < 200; turn++) {
        const { name, bytes } = targets[turn % targets.length]!
        const flipped = Buffer.from(bytes)
        const at = seededBytes(turn, 4).readUInt32LE() % bytes.length
        flipped[at]! ^= 1 << (turn % 8)
        await writeFile(name, flipped)
        const noticed = await (async () => {
          try {
            await using reader = await layouts.openReader(path, 'whole', signal)
            return (await reader.verify(ALL, nothing, signal)).wrong > 0
          } catch (error) {
            if (!hasCode(error, 'ARTIFACT_BROKEN')) throw error
            return true
          }
        })()
        // Of the digest beside a zip nobody needs the name.
        assert.ok(noticed || (name.endsWith('.zip.sha256') && at >= 64), `byte ${at} of ${name}`)
        await writeFile(name, bytes)
      }
    })
  })
}

describe('layout FOLDER, damaged', () => {
  const inFolder = async (dir: string) => {
    const layouts = plainLayouts()
    const path = await writeRun(layouts, requestFor(dir, 'FOLDER'), FILES, signal)
    const hex = blobOf(FILES[0]!).digest.slice(7)
    return { layouts, path, content: join(path, 'bk+store', hex.slice(0, 2), hex.slice(2, 4), hex) }
  }

  it('case 11: given a run, when its files are looked for, then contents lie under aa/bb and records under their repository', async () => {
    await using dir = await tempDir()
    const { path, content } = await inFolder(dir.path)
    assert.equal(await readFile(content, 'utf8'), 'hello')
    assert.deepEqual((await readdir(path)).sort(), [
      'bk+store',
      'errors.json',
      'manifest.json',
      'manifest.sha256',
      'p1',
    ])
    assert.deepEqual((await readdir(join(path, 'p1/r1'))).sort(), ['node.json', 'repository.json'])
    assert.match(await readFile(join(path, 'manifest.sha256'), 'utf8'), /^[0-9a-f]{64} {2}manifest.json\n$/)
  })

  it('case 26: given a content, a record file or the manifest with other bytes, then one is a finding, one unreadable, and one refused', async () => {
    await using dir = await tempDir()
    const { layouts, path, content } = await inFolder(dir.path)
    await writeFile(content, 'jello')
    await using reader = await layouts.openReader(path, 'whole', signal)
    const { findings, wrong } = await reader.verify(ALL, nothing, signal)
    assert.equal(wrong, 1)
    assert.match(findings[0]!.reason, /hash to/)
    assert.deepEqual(await reader.readSmall([blobOf(FILES[0]!)], signal), new Map())
    const nodes = join(path, 'p1/r1/node.json')
    await writeFile(nodes, (await readFile(nodes, 'utf8')).replace('/a.txt', '/e.txt'))
    await assert.rejects(Array.fromAsync(reader.records('p1/r1/node.json', signal)), coded('ARTIFACT_BROKEN'))
    const manifest = join(path, 'manifest.json')
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('"test1"', '"test2"'))
    await assert.rejects(layouts.openReader(path, 'whole', signal), coded('ARTIFACT_BROKEN', /manifest/))
  })

  it('given contents that are gone and files that nobody knows, when verified, then the first are wrong and the others told', async () => {
    await using dir = await tempDir()
    const { layouts, path, content } = await inFolder(dir.path)
    await writeFile(join(path, 'README'), 'mine')
    await writeFile(join(path, 'größe 1.txt'), 'mine')
    await using reader = await layouts.openReader(path, 'whole', signal)
    const odd = await reader.verify({ percent: 0, subset: undefined }, nothing, signal)
    assert.deepEqual([odd.wrong, odd.findings.map(({ object }) => object)], [0, [join(path, 'größe 1.txt'), 'README']])
    await rm(content)
    const gone = await reader.verify({ percent: 0, subset: undefined }, nothing, signal)
    assert.equal(gone.wrong, 2)
    assert.match(gone.findings[0]!.reason, /missing/)
  })

  it('given a run without a manifest, when opened, then it is refused, and taken as legacy with the files that are there', async () => {
    await using dir = await tempDir()
    const { layouts, path } = await inFolder(dir.path)
    await rm(join(path, 'manifest.json'))
    await assert.rejects(layouts.openReader(path, 'whole', signal), coded('ARTIFACT_BROKEN', /no manifest/))
    assert.deepEqual(await layouts.list(dir.path, undefined, signal), [])
    await using reader = await layouts.openReader(path, 'legacy', signal)
    assert.equal(reader.manifest, undefined)
    assert.deepEqual(reader.files, ['errors.json', 'p1/r1/node.json', 'p1/r1/repository.json'])
    assert.equal((await Array.fromAsync(reader.records('p1/r1/node.json', signal))).length, FILES.length)
    assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
  })

  it('given a run without a manifest that holds names of no backup, when opened, then they are among its files, and never read', async () => {
    await using dir = await tempDir()
    const { layouts, path } = await inFolder(dir.path)
    await rm(join(path, 'manifest.json'))
    await cp(join(path, 'p1/r1'), join(path, 'hz/q'), { recursive: true })
    await cp(join(path, 'p1/r1'), join(path, 'größe/r1'), { recursive: true })
    await using reader = await layouts.openReader(path, 'legacy', signal)
    assert.deepEqual(
      reader.files.filter((file) => /^[hg]/.test(file)),
      ['hz/q/node.json', 'hz/q/repository.json', 'größe'],
    )
    assert.deepEqual(await Array.fromAsync(reader.records('größe', signal)), [])
  })

  it('given links in a run, or one in its place, when opened, then they are refused', async () => {
    await using dir = await tempDir()
    const { layouts, path, content } = await inFolder(dir.path)
    await symlink(path, dir.file('link'))
    await assert.rejects(layouts.openReader(dir.file('link'), 'whole', signal), coded('ARTIFACT_BROKEN'))
    await writeFile(dir.file('hello'), 'hello')
    await rm(content)
    await symlink(dir.file('hello'), content)
    await using reader = await layouts.openReader(path, 'whole', signal)
    assert.deepEqual(await reader.readSmall([blobOf(FILES[0]!)], signal), new Map())
    assert.ok((await reader.verify(ALL, nothing, signal)).wrong > 0)
    await rename(join(path, 'p1/r1/node.json'), dir.file('node.json'))
    await symlink(dir.file('node.json'), join(path, 'p1/r1/node.json'))
    await assert.rejects(layouts.openReader(path, 'whole', signal), coded('ARTIFACT_BROKEN', /link/))
  })
})

it('given a limit of bytes per second, when contents are written, then they wait for it', async () => {
  await using dir = await tempDir()
  const layouts = plainLayouts()
  const request = { ...requestFor(dir.path, 'FOLDER'), rateLimit: 1_000 }
  const stop = new AbortController()
  await using writer = await layouts.openWriter(request, stop.signal)
  const writing = writeFiles(writer, FILES, stop.signal)
  stop.abort(new Error('waited'))
  await assert.rejects(writing, /waited/)
})

/** Files of a disk that takes so many bytes in all. */
function fullAfter(bytes: number): OpenFile {
  let left = bytes
  return async (...args) => {
    const file = await open(...args)
    const write = file.write.bind(file) as (...args: unknown[]) => Promise<{ bytesWritten: number; buffer: Buffer }>
    file.write = (async (buffer: Buffer, offset: number, length: number, position: number) => {
      left -= length
      if (left < 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      return write(buffer, offset, length, position)
    }) as typeof file.write
    return file
  }
}
