import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  chunksOf,
  draftOf,
  linesOf,
  openTestWriter,
  repositoryLayout,
  SIGNAL,
} from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../../core/digest.ts'

it('given a small content that is not what its digest says, when it is read back, encrypted or not, then it counts as missing', async () => {
  for (const secret of ['correct horse', undefined]) {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ passphrase: async () => secret })
    const [right, wrong] = [Buffer.from('right'), Buffer.from('wrong')]
    const digest = digestOfBytes(right)
    await using writer = await openTestWriter(layout, dir.path)
    await writer.putSmall([{ digest, bytes: wrong }], SIGNAL)
    const records = await writer.putRecords('pr/repo/node.json', chunksOf(linesOf({ '/a': right })), SIGNAL)
    await writer.publish(draftOf([records]), SIGNAL)
    await using reader = await layout.openReader(writer.artifactLocation, 'whole', SIGNAL)
    assert.equal((await reader.readSmall([{ digest, sizeBytes: right.length }], SIGNAL)).size, 0)
  }
})
