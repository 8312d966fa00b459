import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { tempDir } from '../../../test/helpers/temp.ts'
import { hasCode } from '../../core/errors.ts'
import { backupLocationContract } from '../backup-location.contract.ts'
import { locationBelow } from '../location-below.ts'
import { createFsBackupLocation } from './backup-location.ts'
import type { OpenFile } from './backup-object.ts'

backupLocationContract('fs', async () => {
  const dir = await tempDir()
  const again = () => createFsBackupLocation(dir.file('outer', 'place'))
  return { place: again(), again, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
})

backupLocationContract('fs, a folder below', async () => {
  const dir = await tempDir()
  const again = () => locationBelow(createFsBackupLocation(dir.file('outer')), 'place')
  return { place: again(), again, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
})

it('given a folder below that is a link, when it is used, then nothing is read or written through it', async () => {
  await using dir = await tempDir()
  await mkdir(dir.file('outer'))
  await mkdir(dir.file('outside'))
  await writeFile(dir.file('outside/x'), 'x')
  await symlink(dir.file('outside'), dir.file('outer/repo'))
  const place = locationBelow(createFsBackupLocation(dir.file('outer')), 'repo')
  const refused = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN') && /is a link/.test(String(error))
  for (const use of [
    () => place.put('a/b', hello, signal),
    () => place.putNew('a', hello, signal),
    () => place.create('a', signal),
    () => place.open('x', signal),
    () => place.find('x', signal),
    () => place.children('', signal),
    () => place.delete('x', signal),
  ]) {
    await assert.rejects(async () => use(), refused)
  }
  assert.deepEqual(await readdir(dir.file('outside')), ['x'])
})

const signal = new AbortController().signal
const hello = Buffer.from('hello')
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

for (const umask of [0o000, 0o077, 0o777]) {
  it(`case 34: given a umask of ${umask.toString(8)}, when objects are written, then files are 0600 and folders 0700`, async () => {
    await using dir = await tempDir()
    const before = process.umask(umask)
    try {
      const place = createFsBackupLocation(dir.file('made', 'place'))
      await place.put('a/b/put', hello, signal)
      await place.putNew('a/new', hello, signal)
      await using writer = await place.create('a/created', signal)
      assert.equal(await modeOf(dir.file('made/place/a/created.partial')), '600')
      await writer.publish()
    } finally {
      process.umask(before)
    }
    for (const folder of ['made', 'made/place', 'made/place/a', 'made/place/a/b']) {
      assert.equal(await modeOf(dir.file(folder)), '700', folder)
    }
    for (const file of ['a/b/put', 'a/new', 'a/created']) {
      assert.equal(await modeOf(dir.file('made/place', file)), '600', file)
    }
  })
}

it('given a folder that was there, when objects are written into it, then its own mode stays', async () => {
  await using dir = await tempDir()
  await chmod(dir.path, 0o755)
  await createFsBackupLocation(dir.path).put('a', hello, signal)
  assert.equal(await modeOf(dir.path), '755')
})

it('given links to files and folders, when they are read, listed, written through or deleted, then nobody follows them', async () => {
  await using dir = await tempDir()
  await mkdir(dir.file('outside'))
  await writeFile(dir.file('outside', 'secret'), 'secret')
  await mkdir(dir.file('place', 'a'), { recursive: true })
  await symlink(dir.file('outside'), dir.file('place', 'folder'))
  await symlink(dir.file('outside', 'secret'), dir.file('place', 'a', 'file'))
  const place = createFsBackupLocation(dir.file('place'))
  const broken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN')

  await assert.rejects(place.open('folder/secret', signal), broken)
  await assert.rejects(place.open('a/file', signal), broken)
  await assert.rejects(place.find('folder/secret', signal), broken)
  assert.equal(await place.find('a/file', signal), undefined)
  await assert.rejects(place.put('folder/mine', hello, signal), broken)
  await assert.rejects(place.delete('folder/secret', signal), broken)
  await assert.rejects(place.deleteAll('folder', signal), broken)
  await assert.rejects(Array.fromAsync(place.list('folder', signal)), broken)
  assert.deepEqual(await Array.fromAsync(place.list('', signal)), [])
  assert.deepEqual(await place.children('a', signal), [{ name: 'file', kind: 'other' }])
  await place.put('a/file', hello, signal)
  await place.deleteAll('a', signal)
  assert.deepEqual(await readdir(dir.file('outside')), ['secret'])
  assert.equal(await readFile(dir.file('outside', 'secret'), 'utf8'), 'secret')
})

it('given a place that is reached by a link, when objects are written, then they are there', async () => {
  await using dir = await tempDir()
  await mkdir(dir.file('real'))
  await symlink(dir.file('real'), dir.file('link'))
  await createFsBackupLocation(dir.file('link')).put('a/b', hello, signal)
  assert.equal((await createFsBackupLocation(dir.file('link')).find('a/b', signal))?.sizeBytes, 5)
  assert.equal(await readFile(dir.file('real', 'a', 'b'), 'utf8'), 'hello')
})

it('given a pipe in the place of an object, when it is opened, then it is refused at once', async () => {
  await using dir = await tempDir()
  execFileSync('mkfifo', [dir.file('pipe')])
  const place = createFsBackupLocation(dir.path)
  await assert.rejects(place.open('pipe', signal), (error) => hasCode(error, 'ARTIFACT_BROKEN'))
})

for (const [code, words] of [
  ['ENOSPC', /no space left in the backup place .* bytes are free/],
  ['EDQUOT', /no space left in the backup place .* quota/],
  ['EIO', /cannot be used/],
] as const) {
  it(`case 30: given a disk that answers ${code}, when an object is written, then the refusal says so and nothing is left`, async () => {
    await using dir = await tempDir()
    const place = createFsBackupLocation(dir.path, failing(code))
    const told = (error: unknown) => hasCode(error, 'STORAGE_UNAVAILABLE') && words.test(error.message)
    await assert.rejects(place.put('a/b', hello, signal), told)
    await assert.rejects(async () => {
      await using writer = await place.create('a/c', signal)
      await writer.write(Buffer.alloc(1_000_000))
      await writer.publish()
    }, told)
    await assert.rejects(async () => {
      await using writer = await place.create('a/d', signal)
      await writer.write(hello)
      await writer.publish()
    }, told)
    assert.deepEqual(await readdir(dir.file('a')), [])
  })
}

function failing(code: string): OpenFile {
  return async (...args) => {
    const file = await open(...args)
    file.write = () => Promise.reject(Object.assign(new Error(`${code}: the disk says no`), { code }))
    return file
  }
}

it('given a filesystem without links, when a name is taken by two, then one has it and the other is told so', async () => {
  await using dir = await tempDir()
  const noLinks = () => Promise.reject(Object.assign(new Error('not permitted'), { code: 'EPERM' }))
  const place = createFsBackupLocation(dir.file('place'), open, noLinks)
  const took = await Promise.all(['one', 'two'].map((text) => place.putNew('a/name', Buffer.from(text), signal)))
  assert.deepEqual(took.filter((isNew) => isNew).length, 1)
  assert.equal(await readFile(dir.file('place/a/name'), 'utf8'), took[0] ? 'one' : 'two')
  assert.equal(await modeOf(dir.file('place/a/name')), '600')
  assert.deepEqual(await readdir(dir.file('place/a')), ['name'])
})

it('given a sector that the disk cannot read, when an object is read, then it is damaged and the words name it', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file('a'), 'hello')
  const openFile: OpenFile = async (...given) => {
    const file = await open(...given)
    return Object.assign(file, {
      read: async () => {
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
      },
    })
  }
  await using reader = await createFsBackupLocation(dir.path, openFile).open('a', signal)
  const isNamed = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN') && String(error).includes(dir.file('a'))
  await assert.rejects(reader.read(Buffer.alloc(5), 0, signal), isNamed)
})
