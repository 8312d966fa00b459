import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { ALL_FILES, completeBackup, endOfBackup, startBackup } from '../helpers/backup-calls.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'
import { madeZip } from '../helpers/made-zip.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { type TempDir, tempDir } from '../helpers/temp.ts'

const FILES = 'demo/files'
const CONTENTS: readonly [string, Buffer][] = [
  ['/small.txt', Buffer.from('hello')],
  ['/same.txt', Buffer.from('hello')],
  ['/empty', Buffer.alloc(0)],
  ['/text.txt', Buffer.from('hello world, '.repeat(20_000))],
  ['/random.bin', seededBytes(1, 500_000)],
]
const backup = { name: 'nightly', storeLocation: 'place', content: { ...ALL_FILES, compression: true } }
const restore = (location: string, content: object = { compression: true }) => ({
  ...{ name: 'back', type: 'DATA_RESTORE', storeLocation: location, content: { ...ALL_FILES, ...content } },
})

eachDialect('backups as zips', (dialect) => {
  const start = (dir: TempDir): Promise<LocalCluster> => {
    const env = { ENTREPOT_BACKUP_ALLOWED_ROOTS: dir.path, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
    return startCluster({ name: 'center', dialect, env })
  }
  const contentOf = async ({ url, api }: LocalCluster, path: string, signal: AbortSignal) => {
    const headers = { authorization: api.authorization }
    const answer = await fetch(`${url}/generic/${FILES}${path}`, { headers, signal })
    const bytes = Buffer.from(await answer.arrayBuffer())
    return answer.ok ? bytes : undefined
  }
  /** @returns path of the zip. */
  async function madeBackup(dir: TempDir, signal: AbortSignal): Promise<string> {
    await using cluster = await start(dir)
    await createRepository(cluster.api, FILES, signal)
    for (const [path, bytes] of CONTENTS) await cluster.api.upload(FILES, path, bytes, {}, signal)
    return (await completeBackup(cluster.api, backup, signal)).artifactLocation!
  }

  it('cases 12 and 16: given a backup as a zip, when it is restored into an empty server, then all files are there', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const zip = await madeBackup(dir, signal)
    assert.match(zip, /\/place\/nightly\/nightly-\d{8}\.\d{6}\.zip$/)
    const names = await readdir(dir.file('place', 'nightly'))
    assert.deepEqual(names.map((name) => join(dir.path, 'place', 'nightly', name)).sort(), [zip, `${zip}.sha256`])
    await using other = await start(dir)
    await completeBackup(other.api, restore(zip), signal)
    for (const [path, bytes] of CONTENTS) assert.ok((await contentOf(other, path, signal))?.equals(bytes), path)
    assert.deepEqual(await readdir(dir.file('place', 'nightly')), names)
  })

  it('case 26: given a byte of a content that is flipped, when the zip is restored, then that file is missing and the others are there', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const zip = await madeBackup(dir, signal)
    const bytes = await readFile(zip)
    const [path, damaged] = CONTENTS.at(-1)!
    const at = bytes.indexOf(damaged.subarray(0, 1_000))
    assert.ok(at > 0, 'what does not shrink is stored')
    bytes[at + 250_000]! ^= 1
    await writeFile(zip, bytes)
    await using other = await start(dir)
    const ended = await endOfBackup(other.api, await startBackup(other.api, restore(zip), signal), signal)
    assert.equal(ended.result, 'PARTIAL', ended.errorReason ?? '')
    assert.equal(await contentOf(other, path, signal), undefined)
    assert.equal((await contentOf(other, '/same.txt', signal))?.toString(), 'hello')
  })

  it('cases 26 and 27: given a damaged or hostile zip, when it is restored, then the run is refused and nothing is written', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const zip = await madeBackup(dir, signal)
    const whole = await readFile(zip)
    await rm(zip)
    await using other = await start(dir)
    const headless = Buffer.from(whole)
    headless[headless.length - 30]! ^= 0xff
    const x = Buffer.from('x')
    const bomb = { name: 'r/node.json', bytes: Buffer.alloc(20_000_000), deflated: true }
    for (const bytes of [
      headless,
      whole.subarray(0, -100),
      madeZip([{ name: '../../x', bytes: x }]),
      madeZip([{ name: '/tmp/x', bytes: x }]),
      madeZip([{ name: 'C:\\x', bytes: x }]),
      madeZip([{ name: 'r/link', bytes: x, mode: 0o120777 }]),
      madeZip([bomb]),
    ]) {
      await writeFile(dir.file('x.zip'), bytes)
      const before = await readdir(dir.path, { recursive: true })
      const body = { ...restore(dir.file('x.zip')), backupSetting: { legacy: true } }
      const ended = await endOfBackup(other.api, await startBackup(other.api, body, signal), signal)
      assert.equal(ended.result, 'FAILED')
      assert.match(ended.errorReason!, /not taken as a backup|not to be trusted/)
      assert.deepEqual(await readdir(dir.path, { recursive: true }), before)
    }
    assert.equal(await contentOf(other, '/small.txt', signal), undefined)
  })
})
