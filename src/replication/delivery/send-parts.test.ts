import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { it } from 'node:test'
import type { Digest } from '../../core/digest.ts'
import { chunksOf, pulledFrom } from '../../core/pull-source.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { BlobStore, ByteRange } from '../../storage/blob-store.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { createBlobSender } from './send-blobs.ts'

const DIGEST = `sha256:${'a'.repeat(64)}` as Digest

it('given an upload of which some parts are there, when sent, then each of the others goes once, two at a time, and it is completed', async (t) => {
  const calls: string[] = []
  let [under, most] = [0, 0]
  const client: Partial<ClusterClient> = {
    openUpload: async () => ({ uploadId: 'u', partSizeBytes: 10, have: [0, 3], complete: false }),
    async putPart(uploadId, part, sizeBytes, body) {
      most = Math.max(most, ++under)
      const bytes = await buffer(chunksOf(body, 4, t.signal))
      under--
      assert.equal(bytes.length, sizeBytes)
      calls.push(`${uploadId} ${part}: ${bytes}`)
    },
    completeUpload: async (uploadId) => void calls.push(`complete ${uploadId}`),
  }
  const content = Buffer.from('0123456789abcdefghijABCDEFGHIJklmnopqrstKLMNO')
  const store: Partial<BlobStore> = {
    pull: async (_digest: Digest, range?: ByteRange) =>
      pulledFrom(Readable.from([content.subarray(range?.start, range?.end)])),
  }
  const rate: Partial<RateLimit> = { take: () => undefined }
  const limits = { partThresholdBytes: 10, concurrency: 1 }
  const sender = createBlobSender(client as ClusterClient, store as BlobStore, rate as RateLimit, limits)
  let [sent, stored] = [0, 0]
  const progress = {
    sent(count: number) {
      sent += count
    },
    stored: () => void stored++,
  }
  const failures = await sender.send([{ digest: DIGEST, sizeBytes: content.length }], progress, t.signal)
  assert.deepEqual([failures.size, sent, stored, most], [0, 25, 3, 2])
  assert.deepEqual([...calls.slice(0, -1)].sort(), ['u 1: abcdefghij', 'u 2: ABCDEFGHIJ', 'u 4: KLMNO'])
  assert.equal(calls.at(-1), 'complete u')
})
