import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import {
  backUp,
  openTestWriter,
  putFiles,
  repositoryLayout,
  SIGNAL,
  START,
} from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'

/** A disk that has no room for so many indexes. */
function fullFor(indexes: number): (path: string) => BackupLocation {
  let left = indexes
  return (path) => {
    const location = createFsBackupLocation(path)
    return {
      ...location,
      async put(name, bytes, signal) {
        if (name.includes('index/') && left-- > 0) throw new Error('no room')
        await location.put(name, bytes, signal)
      },
    }
  }
}

for (const indexes of [1, 1_000]) {
  it(`given ${indexes} indexes that could not be written, when the next run comes, then it sends nothing again, and a prune may come between`, async () => {
    await using dir = await tempDir()
    const files = { '/large': randomBytes(300_000), '/small': randomBytes(1_000) }
    {
      await using full = repositoryLayout({ locationAt: fullFor(indexes) })
      await using writer = await openTestWriter(full, dir.path)
      await putFiles(writer, files)
      await assert.rejects(writer.publish({} as never, SIGNAL), /no room/)
    }
    assert.equal((await readdir(dir.file('repo/locks'))).length, indexes === 1 ? 0 : 1)
    await using layout = repositoryLayout()
    await layout.prune(dir.file('repo'), { runId: 'p', mode: 'dry run', wait: 'no' }, SIGNAL)
    const { sent } = await backUp(layout, dir.path, files, { startedAt: START + 1_000 })
    assert.equal(sent, 0)
    assert.deepEqual(await readdir(dir.file('repo/locks')), [])
  })
}

it('given objects that a run which died has left, when they go into an index, then their names were made durable before', async () => {
  await using dir = await tempDir()
  const log: string[] = []
  const locationAt = (path: string): BackupLocation => {
    const location = createFsBackupLocation(path)
    return {
      ...location,
      async sync(prefix, signal) {
        log.push(prefix)
        await location.sync(prefix, signal)
      },
      async put(name, bytes, signal) {
        if (name.includes('index/')) log.push('index')
        await location.put(name, bytes, signal)
      },
    }
  }
  {
    await using full = repositoryLayout({ locationAt: fullFor(1_000) })
    await using writer = await openTestWriter(full, dir.path)
    await putFiles(writer, { '/large': randomBytes(300_000) })
  }
  const [folder] = await readdir(dir.file('repo/data'))
  await using layout = repositoryLayout({ locationAt })
  await backUp(layout, dir.path, { '/other': randomBytes(10) }, { startedAt: START + 1_000 })
  assert.deepEqual(log.slice(0, 2), ['repo/data', `repo/data/${folder}`])
  assert.ok(log.includes('index'))
})
