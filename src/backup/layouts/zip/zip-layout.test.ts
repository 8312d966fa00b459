import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import {
  backedUp,
  blobOf,
  nodeOf,
  plainLayouts,
  readRun,
  requestFor,
  writeRun,
} from '../../../../test/helpers/backup-runs.ts'
import { seededBytes } from '../../../../test/helpers/blobs.ts'
import { type MadeEntry, madeZip } from '../../../../test/helpers/made-zip.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import { contentPath } from '../../manifest/run-paths.ts'
import { openZipEntry } from './zip-content.ts'
import { readZipEntries } from './zip-entries.ts'

const signal = new AbortController().signal
const ALL = { percent: 100, subset: undefined }
const nothing = () => {}
const broken =
  (words = /./) =>
  (error: unknown) =>
    hasCode(error, 'ARTIFACT_BROKEN') && words.test(error.message)
const RUN = '20241224.171354'
const FILES = [
  backedUp('/text', 'hello world, '.repeat(50_000)),
  backedUp('/packed.gz', Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(20_000, 1)])),
  backedUp('/random', seededBytes(4, 300_000)),
  backedUp('/small', 'hello'),
]

async function entriesOf(dir: string, zip: string) {
  await using object = await createFsBackupLocation(dir).open(zip, signal)
  return await readZipEntries(object, zip, signal)
}

it('case 12: given a zip, when its entries are looked at, then names use /, and only what shrinks is deflated', async () => {
  await using dir = await tempDir()
  await writeRun(plainLayouts(), requestFor(dir.path, 'ZIP'), FILES, signal)
  const zip = `test1/test1-${RUN}.zip`
  assert.deepEqual((await readdir(dir.file('test1'))).sort(), [`test1-${RUN}.zip`, `test1-${RUN}.zip.sha256`])
  const entries = await entriesOf(dir.path, zip)
  const isDeflated = (path: string) => entries.get(`${RUN}/${path}`)?.isDeflated
  assert.deepEqual(
    FILES.map((file) => isDeflated(contentPath(blobOf(file).digest))),
    [true, false, false, false],
  )
  assert.equal(isDeflated('manifest.json'), true)
  assert.ok([...entries.keys()].every((name) => name.startsWith(`${RUN}/`)))
})

it('given a zip, when the digest beside it is computed, then it is the one of the whole file', async () => {
  await using dir = await tempDir()
  const path = await writeRun(plainLayouts(), requestFor(dir.path, 'ZIP'), FILES, signal)
  const hex = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  assert.equal(await readFile(`${path}.sha256`, 'utf8'), `${hex}  test1-${RUN}.zip\n`)
})

it('case 26: given no digest beside a zip, when bits are flipped, then each is noticed, or all is read as it was', async () => {
  await using dir = await tempDir()
  const layouts = plainLayouts()
  const files = [...FILES.slice(3), backedUp('/line', 'hello world, '.repeat(200))]
  const path = await writeRun(layouts, requestFor(dir.path, 'ZIP'), files, signal)
  await rm(`${path}.sha256`)
  const bytes = await readFile(path)
  const whole = async () => {
    await using reader = await layouts.openReader(path, 'whole', signal)
    if ((await reader.verify(ALL, nothing, signal)).wrong > 0) return undefined
    return await readRun(reader, files, signal)
  }
  const expected = await whole()
  let harmless = 0
  for (let turn = 0; turn < 200; turn++) {
    const flipped = Buffer.from(bytes)
    flipped[seededBytes(turn, 4).readUInt32LE() % bytes.length]! ^= 1 << (turn % 8)
    await writeFile(path, flipped)
    const found = await whole().catch((error) => {
      if (!hasCode(error, 'ARTIFACT_BROKEN')) throw error
      return undefined
    })
    if (found === undefined) continue
    assert.deepEqual(found, expected)
    harmless++
  }
  assert.ok(harmless < 200)
})

it('given contents that shrink to almost nothing, when backed up as a zip, then it is no bomb to its reader', async () => {
  await using dir = await tempDir()
  const layouts = plainLayouts()
  const files = [backedUp('/disk', Buffer.alloc(30_000_000)), backedUp('/other', Buffer.alloc(900, 0))]
  const path = await writeRun(layouts, requestFor(dir.path, 'ZIP'), files, signal)
  assert.ok((await readFile(path)).length < 400_000)
  await using reader = await layouts.openReader(path, 'whole', signal)
  assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
})

describe('hostile zips', () => {
  const file = (name: string, more: Partial<MadeEntry> = {}): MadeEntry => ({ name, bytes: Buffer.from('x'), ...more })
  const plain = file(`${RUN}/node.json`)
  const zeros = { bytes: Buffer.alloc(10_000_000), deflated: true }
  const cases: readonly [string, Buffer, RegExp][] = [
    ['a name that climbs out', madeZip([file('../../x')]), /climbs out/],
    ['a name that climbs out with \\', madeZip([file(`${RUN}\\..\\..\\x`)]), /climbs out/],
    ['an absolute name', madeZip([file('/etc/passwd')]), /absolute/],
    ['an absolute name with \\', madeZip([file('\\etc\\passwd')]), /absolute/],
    ['a name of a network share', madeZip([file('\\\\server\\share\\x')]), /absolute/],
    ['a name with a drive', madeZip([file('C:\\x')]), /drive/],
    ['a name with NUL', madeZip([file('a\0b')]), /control character/],
    ['an empty name', madeZip([file('')]), /empty part/],
    ['a link', madeZip([file(`${RUN}/link`, { mode: 0o120777 })]), /link/],
    ['a device', madeZip([file(`${RUN}/null`, { mode: 0o020666 })]), /link/],
    ['a name twice', madeZip([plain, plain]), /twice/],
    ['a name twice, with / and \\', madeZip([plain, file(`${RUN}\\node.json`)]), /twice/],
    ['a bomb of a thousand to one', madeZip([file(`${RUN}/bomb`, zeros)]), /unpack to/],
    [
      'entries that share bytes',
      madeZip([file('r/a', { bytes: Buffer.alloc(5_000) }), file('r/b', { claims: { offset: 0 } })]),
      /shares bytes/,
    ],
    [
      'an entry beyond the end',
      madeZip([file('r/a', { claims: { packedBytes: 9_000, sizeBytes: 9_000 } })]),
      /ends after/,
    ],
    [
      'sizes past all reason',
      madeZip([file('r/a', { claims: { packedBytes: 2 ** 52, sizeBytes: 2 ** 52 } })]),
      /unpack to/,
    ],
    ['an encrypted entry', madeZip([file('r/a', { flags: 1 })]), /encrypted|mismatch/],
    [
      'an unknown packing',
      madeZip([file('r/a')]).fill(99, 30 + 3 + 1 + 10, 30 + 3 + 1 + 11),
      /unknown here|no whole zip/,
    ],
    ['more entries than anybody has', madeZip([plain], 2 ** 33), /entries/],
    ['fewer entries than it says', madeZip([plain], 3), /no whole zip/],
    ['a folder with bytes', madeZip([file(`${RUN}/a/`)]), /has bytes/],
    ['no zip at all', Buffer.from('hello'), /no whole zip/],
    ['nothing', Buffer.alloc(0), /no whole zip/],
    ['half a zip', madeZip([plain]).subarray(0, 60), /no whole zip/],
  ]
  for (const [what, bytes, words] of cases) {
    it(`case 27: given ${what}, when it is opened, then it is refused, and nothing is written`, async () => {
      await using dir = await tempDir()
      await writeFile(dir.file('x.zip'), bytes)
      await assert.rejects(plainLayouts().openReader(dir.file('x.zip'), 'legacy', signal), broken(words))
      assert.deepEqual(await readdir(dir.path), ['x.zip'])
    })
  }

  const lies: readonly [string, MadeEntry][] = [
    ['unpacks to more than it says', file('r/a', { ...zeros, claims: { sizeBytes: 1_000 } })],
    ['unpacks to more than it says, and is long', file('r/a', { ...zeros, claims: { sizeBytes: 2_000_000 } })],
    [
      'unpacks to less than it says',
      file('r/a', { bytes: Buffer.alloc(100), deflated: true, claims: { sizeBytes: 101 } }),
    ],
    ['has another checksum', file('r/a', { claims: { crc32: 1 } })],
    ['is no deflated stream', file('r/a', { bytes: Buffer.from('xyz'), claims: { method: 'deflated' } })],
  ]
  for (const [what, entry] of lies) {
    it(`case 27: given an entry that ${what}, when it is read, then it stops there and says so`, async () => {
      await using dir = await tempDir()
      await writeFile(dir.file('x.zip'), madeZip([entry]))
      await using object = await createFsBackupLocation(dir.path).open('x.zip', signal)
      const [found] = (await readZipEntries(object, 'x.zip', signal)).values()
      const into = Buffer.alloc(64 * 1024)
      let unpacked = 0
      await assert.rejects(async () => {
        await using source = await openZipEntry(object, found!, signal)
        for (let count = 1; count > 0; unpacked += count) count = await source.read(into, signal)
      }, broken())
      assert.ok(unpacked <= found!.sizeBytes)
    })
  }

  it('given an entry whose header has another name than the directory, when it is read, then it is refused', async () => {
    await using dir = await tempDir()
    const bytes = madeZip([file('r/a')])
    bytes.write('r/b', 30, 'latin1')
    await writeFile(dir.file('x.zip'), bytes)
    await using object = await createFsBackupLocation(dir.path).open('x.zip', signal)
    const [found] = (await readZipEntries(object, 'x.zip', signal)).values()
    await assert.rejects(openZipEntry(object, found!, signal), broken(/directory of the zip/))
  })
})

describe('zips that the reference makes', () => {
  const content = FILES[3]!
  const hex = blobOf(content).digest.slice(7)
  const made = (separator: string, above: readonly string[]): Buffer => {
    const named = (...names: string[]) => [...above, ...names].join(separator)
    return madeZip([
      { name: named('bk+store', hex.slice(0, 2), hex.slice(2, 4), hex), bytes: content.bytes, deflated: true },
      { name: `${named('p1', 'r1')}${separator}`, bytes: Buffer.alloc(0) },
      { name: named('p1', 'r1', 'node.json'), bytes: Buffer.from(`${JSON.stringify(nodeOf(content))}\r\n`) },
    ])
  }
  for (const [what, bytes] of [
    ['names with \\', made('\\', [RUN])],
    ['names with /', made('/', [RUN])],
    ['an outer folder', made('/', ['test1', RUN])],
  ] as const) {
    it(`case 35: given a zip of the reference with ${what}, when opened, then only legacy takes it`, async () => {
      await using dir = await tempDir()
      await writeFile(dir.file('x.zip'), bytes)
      const layouts = plainLayouts()
      await assert.rejects(layouts.openReader(dir.file('x.zip'), 'whole', signal), broken(/no manifest/))
      await using reader = await layouts.openReader(dir.file('x.zip'), 'legacy', signal)
      assert.deepEqual(reader.files, ['p1/r1/node.json'])
      const { records } = await readRun(reader, [content], signal)
      assert.deepEqual(JSON.parse(records[0]![1][0]!), nodeOf(content))
      assert.equal((await reader.verify(ALL, nothing, signal)).wrong, 0)
    })
  }
})
