import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOfBytes } from '../../core/digest.ts'
import { createContents } from './contents.ts'
import type { WantedBlob } from './send-blobs.ts'

const KIB = 1024

it('given more small contents than fit in memory, when supplied, then the rest goes in requests of its own', async (t) => {
  const blobs = Array.from(
    { length: 100 },
    (_, n): WantedBlob => ({ digest: digestOfBytes(`${n}`), sizeBytes: 60 * KIB }),
  )
  const sent: WantedBlob[] = []
  const contents = createContents({
    client: { missing: async (digests: readonly string[]) => new Set(digests) } as never,
    store: {
      readMany: async (small: readonly WantedBlob[]) =>
        new Map(small.map(({ digest, sizeBytes }) => [digest, Buffer.alloc(sizeBytes)])),
    } as never,
    sender: {
      async send(large) {
        sent.push(...large)
        return new Map()
      },
    },
    inFlight: { claim: () => 'mine', settle: () => undefined } as never,
    inlineMaxBytes: 64 * KIB,
    progress: { sent: () => undefined, stored: () => undefined },
  })
  const { inline, ours, failed } = await contents.supply(blobs, t.signal)
  assert.equal(inline.size, Math.floor((4 * KIB) / 60))
  assert.equal(inline.size + sent.length, 100)
  assert.deepEqual([ours.size, failed.size], [100, 0])
})
