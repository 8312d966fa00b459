import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { it } from 'node:test'
import { digestOfStream, seededDigest, seededStream } from '../../../test/helpers/blobs.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { chunksOf, type PullSource, pulledFrom } from '../../core/pull-source.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { createRemoteStates } from '../runs/remote-states.ts'
import { createBlobSender } from './send-blobs.ts'

const FILE_BYTES = 5_000_000
const SECONDS = 1_000

it('case 27: given 1 MiB/s for a task and two files of 5 MB, when both are sent at once, then they take about 10 s together, not 5', async (t) => {
  const clock = manualClock()
  const digests = [seededDigest(1, FILE_BYTES), seededDigest(2, FILE_BYTES)]
  const store = {
    pull: async (digest: Digest) => pulledFrom(seededStream(digests.indexOf(digest) + 1, FILE_BYTES)),
  } as unknown as BlobStore
  const arrived: Digest[] = []
  const target = {
    putBlob: async (_digest: Digest, _sizeBytes: number, body: PullSource) =>
      arrived.push(await digestOfStream(Readable.from(chunksOf(body, 256 * 1024, t.signal)))),
  } as unknown as ClusterClient
  const remotes = createRemoteStates(clock, { streams: 1, maxStreams: 1, bytesPerSecond: 0, circuitPauseMs: 1_000 })
  const limits = { partThresholdBytes: 2 * FILE_BYTES, concurrency: 1 }
  const progress = { sent: () => {}, stored: () => {} }
  const begunAt = clock.now()
  // Two links of one task: each asks for the bucket of its own accord.
  const both = digests.map((digest) => {
    const sender = createBlobSender(target, store, remotes.rate('task', 1024 * 1024, { id: 'beta' }), limits)
    return sender.send([{ digest, sizeBytes: FILE_BYTES }], progress, t.signal)
  })
  let ended = false
  const all = Promise.all(both).finally(() => {
    ended = true
  })
  while (!ended) {
    await Promise.race([clock.untilSleeping(), all])
    await clock.advance(10)
  }
  await all
  assert.deepEqual(arrived.sort(), digests.sort())
  const tookMs = clock.now() - begunAt
  assert.ok(tookMs >= 9 * SECONDS && tookMs <= 10 * SECONDS, `${tookMs} ms`)
})
