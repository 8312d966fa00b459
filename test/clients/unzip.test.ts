import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { digestFromBytes } from '../../src/core/digest.ts'
import { pulledFrom } from '../../src/core/pull-source.ts'
import {
  backedUp,
  blobOf,
  manifestDraft,
  nodeOf,
  plainLayouts,
  putRecords,
  requestFor,
  writeRun,
} from '../helpers/backup-runs.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { needs } from '../helpers/programs.ts'
import { tempDir } from '../helpers/temp.ts'

const run = promisify(execFile)
const MIB = 2 ** 20
const LARGE_MIB = 4_200
const signal = new AbortController().signal

describe('unzip', needs('unzip', 'sha256sum'), () => {
  it('case 13: given a backup as a zip, when unzip tests and unpacks it, then it is whole, and its files are those of the backup', async () => {
    await using dir = await tempDir()
    const files = [
      backedUp('/text', 'hello world, '.repeat(50_000)),
      backedUp('/random', seededBytes(1, 3_000_000)),
      backedUp('/empty', ''),
      ...Array.from({ length: 300 }, (_, n) => backedUp(`/small-${n}`, `small ${n}`.repeat(n + 1))),
    ]
    const zip = await writeRun(plainLayouts(), requestFor(dir.path, 'ZIP'), files, signal)
    const { stdout } = await run('unzip', ['-t', zip])
    assert.match(stdout, /No errors detected/)
    await run('unzip', ['-q', zip, '-d', dir.file('unpacked')])
    const runFolder = dir.file('unpacked', '20241224.171354')
    await run('sha256sum', ['--check', '--quiet', 'manifest.sha256'], { cwd: runFolder })
    await run('sha256sum', ['--check', '--quiet', `${zip}.sha256`], { cwd: dir.file('test1') })
    for (const file of files) {
      const hex = blobOf(file).digest.slice(7)
      const found = await readFile(`${runFolder}/bk+store/${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`)
      assert.ok(found.equals(file.bytes))
    }
  })

  it('case 13: given a content of more than 4 GiB, when unzip tests the backup, then it is whole', async () => {
    await using dir = await tempDir()
    const layouts = plainLayouts()
    const zeros = Buffer.alloc(MIB)
    const hash = createHash('sha256')
    for (let n = 0; n < LARGE_MIB; n++) hash.update(zeros)
    const blob = { digest: digestFromBytes(hash.digest()), sizeBytes: LARGE_MIB * MIB }
    function* chunks() {
      for (let n = 0; n < LARGE_MIB; n++) yield zeros
    }
    await using writer = await layouts.openWriter(requestFor(dir.path, 'ZIP'), signal)
    const source = async () => pulledFrom(Readable.from(chunks(), { objectMode: false }))
    await writer.putLarge(blob, source, () => {}, signal)
    const node = { ...nodeOf(backedUp('/large', '')), size: blob.sizeBytes, sha256: blob.digest.slice(7) }
    const nodes = await putRecords(writer, 'p1/r1/node.json', [node], signal)
    await writer.publish(manifestDraft([nodes]), signal)
    const { stdout } = await run('unzip', ['-t', writer.artifactLocation])
    assert.match(stdout, /No errors detected/)
  })
})
