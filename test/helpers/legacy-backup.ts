import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { digestHex } from '../../src/core/digest.ts'
import { digestOf } from './blobs.ts'

export interface LegacyBackup {
  readonly folder: string
  /** Its entries are joined by `\`. */
  readonly zip: string
  readonly text: string
  /** Of the file, in the zone of the server. */
  readonly createdDate: string
  /** Of records that must not be restored, in their order. */
  readonly badLines: readonly string[]
}

const TEXT = 'written long ago'
const CREATED = '2024-12-24T17:13:54.123'
const authors = {
  ...{ createdBy: 'old-hand', createdDate: CREATED },
  ...{ lastModifiedBy: 'new-hand', lastModifiedDate: '2024-12-25T09:00:00' },
}
const file = (fullPath: string, more: object = {}) => ({
  id: '676a7b5a1f0d4c0001a2b3c4',
  ...authors,
  ...{ folder: false, path: `${dirname(fullPath)}/`, name: fullPath.split('/').at(-1), fullPath },
  ...{ size: Buffer.byteLength(TEXT), sha256: digestHex(digestOf(TEXT)), md5: 'd'.repeat(32), deleted: null },
  ...{ metadata: [{ key: 'author', value: 'anna', system: false, description: null, link: null }] },
  ...{ projectId: 'demo', repoName: 'files', expireDate: null, copyFromCredentialsKey: null },
  ...more,
})

/** What the reference writes: no manifest, dates without a zone, ids, rows that were deleted (backup.md 3 and 9). */
const FILES: Readonly<Record<string, readonly object[]>> = {
  'demo/files/project.json': [
    { id: '1', name: 'demo', displayName: 'Demo', description: 'old', metadata: [], ...authors },
  ],
  'demo/files/repository.json': [
    {
      ...{
        id: '2',
        name: 'files',
        type: 'GENERIC',
        category: 'LOCAL',
        public: false,
        description: 'old',
        projectId: 'demo',
      },
      ...{
        configuration: '{"type":"local","settings":{}}',
        credentialsKey: null,
        display: true,
        quota: null,
        used: 16,
      },
      ...{ deleted: null, ...authors },
    },
  ],
  'demo/files/node.json': [
    { ...file('/docs'), folder: true, size: 0, sha256: null, md5: null, metadata: [] },
    file('/docs/readme.txt'),
    file('/docs/gone.txt', { deleted: '2024-12-24T17:14:00' }),
    file('/docs/passwd', { sha256: '../../../etc/passwd' }),
    file('/docs/../../up'),
    file('/docs/blocks.bin', { sha256: '0'.repeat(64) }),
  ],
}
const BAD_LINES = [4, 5, 6].map((line) => `demo/files/node.json: line ${line}`)

export async function legacyBackup(root: string): Promise<LegacyBackup> {
  const [name, run] = ['old', '20241224.171354']
  const hex = digestHex(digestOf(TEXT))
  const entries: [string, Buffer][] = Object.entries(FILES).map(([path, records]) => [
    path,
    Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')),
  ])
  entries.push([`bk+store/${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`, Buffer.from(TEXT)])
  const folder = join(root, name, run)
  for (const [path, bytes] of entries) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
  const zip = join(root, name, `${name}-${run}.zip`)
  const inZip = entries.map(([path, bytes]): [string, Buffer] => [`${run}/${path}`.replaceAll('/', '\\'), bytes])
  await writeFile(zip, zipOf(inZip))
  return { folder, zip, text: TEXT, createdDate: CREATED, badLines: BAD_LINES }
}

/** A zip of stored entries, named as given. */
function zipOf(entries: readonly [string, Buffer][]): Buffer {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const [name, bytes] of entries) {
    const [title, sum] = [Buffer.from(name), crc32(bytes)]
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt32LE(sum, 10)
    common.writeUInt32LE(bytes.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(title.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, title, bytes])
    const after = Buffer.alloc(14)
    after.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, after, title]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 0, 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}
