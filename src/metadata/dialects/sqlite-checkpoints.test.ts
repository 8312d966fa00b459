import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { tempDir } from '../../../test/helpers/temp.ts'
import { createCheckpoints } from './sqlite-checkpoints.ts'

describe('checkpoints', () => {
  it('given many commits, when nobody else makes checkpoints, then the thread moves them to the file, and ends when told to', async () => {
    await using dir = await tempDir()
    const file = dir.file('x.db')
    using database = new DatabaseSync(file)
    database.exec('pragma journal_mode = wal; pragma wal_autocheckpoint = 0; create table t (x)')
    const checkpoints = createCheckpoints(file)
    const before = (await stat(file)).size
    for (let commit = 0; commit < 300; commit++) {
      database.exec(`insert into t values (zeroblob(4096))`)
      checkpoints.committed()
    }
    while ((await stat(file)).size <= before + 100 * 4096) await setImmediate()
    await checkpoints.close()
    await checkpoints.close()
    assert.equal(database.prepare('select count(*) as rows from t').get()?.rows, 300)
  })

  it('given few commits, when closed, then there was no thread to end', async () => {
    await using dir = await tempDir()
    const checkpoints = createCheckpoints(dir.file('none.db'))
    checkpoints.committed()
    await checkpoints.close()
  })
})
