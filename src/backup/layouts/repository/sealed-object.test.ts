import assert from 'node:assert/strict'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { SIGNAL } from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import { readWhole } from './sealed-object.ts'

it('given objects that are larger than any that was written, when they are read, then they are refused and not held', async () => {
  await using dir = await tempDir()
  const location = createFsBackupLocation(dir.path)
  await mkdir(dir.file('locks'))
  for (const [name, bytes] of [
    ['config', 64 * 1024],
    ['locks/a', 64 * 1024],
    ['marks', 512 * 1024 ** 2],
  ] as const) {
    await writeFile(dir.file(name), '')
    await truncate(dir.file(name), bytes + 1)
    const isBroken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN') && String(error).includes(name)
    await assert.rejects(readWhole(location, name, SIGNAL), isBroken)
  }
})
