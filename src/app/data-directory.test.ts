import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { countingIds } from '../../test/helpers/ids.ts'
import { tempDir } from '../../test/helpers/temp.ts'
import { openDataDirectory } from './data-directory.ts'

describe('data directory', () => {
  it('given no directory, when it is opened twice, then it is made once and keeps its installation id', async () => {
    await using dir = await tempDir()
    const ids = countingIds()
    const first = await openDataDirectory(dir.file('a', 'data'), dir.file('a', 'data', 'blobs'), ids)
    const second = await openDataDirectory(dir.file('a', 'data'), dir.file('a', 'data', 'blobs'), ids)
    assert.match(first.installationId, /^[0-9a-f]{32}$/)
    assert.deepEqual(second, first)
    assert.deepEqual((await readdir(first.path)).sort(), ['blobs', 'installation.json', 'keys'])
    assert.equal((await stat(dir.file('a', 'data', 'keys'))).mode & 0o777, 0o700)
  })

  it('given eight starts at once, when they open it, then all have the same id', async () => {
    await using dir = await tempDir()
    const ids = countingIds()
    const open = () => openDataDirectory(dir.file('data'), dir.file('blobs'), ids)
    const opened = await Promise.all(Array.from({ length: 8 }, open))
    assert.equal(new Set(opened.map(({ installationId }) => installationId)).size, 1)
    assert.deepEqual((await readdir(dir.file('data'))).sort(), ['installation.json', 'keys'])
  })

  for (const content of ['', '[', '{"format":2,"id":"x"}', '{"format":1,"id":"x"}', 'null']) {
    it(`given an installation.json with ${content || 'nothing'}, when it is opened, then it is refused by name`, async () => {
      await using dir = await tempDir()
      await writeFile(dir.file('installation.json'), content)
      await assert.rejects(
        openDataDirectory(dir.path, dir.file('blobs'), countingIds()),
        /installation\.json cannot be used/,
      )
    })
  }
})
