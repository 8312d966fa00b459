import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { FilesystemRoom } from '../../storage/fs/filesystem-room.ts'
import { createSpaceGuards } from './space.ts'

const MIB = 1024 * 1024
const room = (usedBytes: number): FilesystemRoom => ({ totalBytes: 1000, usedBytes, availableBytes: 1000 - usedBytes })

function guards(rooms: FilesystemRoom[], spaceCapCheck = true) {
  const asked: string[] = []
  const roomOf = async (path: string) => {
    asked.push(path)
    return rooms.shift()!
  }
  return { asked, guard: createSpaceGuards({ roomOf, threshold: 0.8 })('/place', { spaceCapCheck }) }
}

it('case 31: given a filesystem at 85 % and a threshold of 0.8, when a run begins, then it is refused, unless nobody wants the check', async () => {
  await assert.rejects(guards([room(850)]).guard.begin(1), {
    code: 'STORAGE_UNAVAILABLE',
    message: /filesystem of \[\/place\] disk usage is 85\.0 % and backup\.usageThreshold allows 80\.0 %/,
  })
  await guards([room(800)]).guard.begin(200)
  await guards([room(850)], false).guard.begin(150)
})

it('given more than fits, when a run begins, then it is refused with and without the check', async () => {
  for (const check of [true, false]) {
    const refusal = { code: 'STORAGE_UNAVAILABLE', message: /no space: up to 901 bytes are needed and 900 are free/ }
    await assert.rejects(guards([room(100)], check).guard.begin(901), refusal)
  }
})

it('given a run that writes, when 256 MiB more are written, then the filesystem is looked at again', async () => {
  const { asked, guard } = guards([room(100), room(500), room(900)])
  await guard.begin(0)
  for (let written = 0; written < 511; written++) await guard.wrote(MIB)
  assert.deepEqual(asked, ['/place', '/place'])
  await assert.rejects(guard.wrote(MIB), { code: 'STORAGE_UNAVAILABLE' })
})
