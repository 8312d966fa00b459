import assert from 'node:assert/strict'
import { it } from 'node:test'
import { tempDir } from '../../../test/helpers/temp.ts'
import { filesystemRoom } from './filesystem-room.ts'

it('given a path that is not there yet, when its room is asked for, then that of the nearest folder is told', async () => {
  await using dir = await tempDir()
  const there = await filesystemRoom(dir.path)
  const notYet = await filesystemRoom(dir.file('a', 'b'))
  assert.equal(notYet.totalBytes, there.totalBytes)
  assert.ok(there.totalBytes > there.usedBytes && there.usedBytes > 0 && there.availableBytes > 0)
})
