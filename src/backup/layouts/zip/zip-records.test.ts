import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { open } from 'node:fs/promises'
import { it } from 'node:test'
import { crc32 } from 'node:zlib'
import { findProgram } from '../../../../test/helpers/programs.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import { openZipEntry } from './zip-content.ts'
import { readZipEntries } from './zip-entries.ts'
import { centralRecord, dataDescriptor, dosTimeOf, endRecords, localHeader, type WrittenEntry } from './zip-records.ts'

const signal = new AbortController().signal
const AT = dosTimeOf('20241224.171354')
const FIVE_GIB = 5 * 2 ** 30

it('case 13: given an entry beyond 4 GiB, when the zip is read, here and by another program, then it is whole', async () => {
  await using dir = await tempDir()
  const bytes = Buffer.from('hello')
  const entry: WrittenEntry = {
    ...{ name: 'r/a', offset: FIVE_GIB, method: 'stored', crc32: crc32(bytes) },
    ...{ packedBytes: 5, sizeBytes: 5, isDescribedLater: true },
  }
  const unknown = { ...entry, crc32: 0, packedBytes: 0, sizeBytes: 0 }
  const central = centralRecord(entry, AT)
  const local = Buffer.concat([localHeader(unknown, AT), bytes, dataDescriptor(entry)])
  const start = FIVE_GIB + local.length
  {
    // What lies before takes no room on the disk.
    await using file = await open(dir.file('x.zip'), 'w')
    await file.write(Buffer.concat([local, central, endRecords(1, start, central.length)]), 0, undefined, FIVE_GIB)
  }
  await using object = await createFsBackupLocation(dir.path).open('x.zip', signal)
  const found = (await readZipEntries(object, 'x.zip', signal)).get('r/a')
  assert.equal(found?.offset, FIVE_GIB)
  await using source = await openZipEntry(object, found, signal)
  const into = Buffer.alloc(10)
  assert.equal(await source.read(into, signal), 5)
  assert.equal(into.toString('latin1', 0, 5), 'hello')
  if (findProgram('unzip') === undefined) return
  const { stdout, stderr } = spawnSync('unzip', ['-p', dir.file('x.zip')], { encoding: 'utf8' })
  assert.equal(stdout, 'hello', stderr)
})

it('given a moment, when it is written as DOS does, then it is that to two seconds, and years before 1980 are 1980', () => {
  assert.deepEqual(AT, { date: (44 << 9) | (12 << 5) | 24, time: (17 << 11) | (13 << 5) | 27 })
  assert.equal(dosTimeOf('19700101.000000').date >> 9, 0)
})
