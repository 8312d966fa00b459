import type { Digest } from '../../core/digest.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { InFlight } from '../limits/in-flight.ts'
import { MAX_INLINE_BYTES } from './batches.ts'
import { type BlobFailure, type BlobSender, MISSING_HERE, type WantedBlob } from './send-blobs.ts'
import type { TransferProgress } from './transfer-progress.ts'

/** The contents of one batch: what the target lacks of them, and how it gets there. */
export interface Supply {
  /** Small contents, to travel with the first file that has them. */
  readonly inline: ReadonlyMap<Digest, Buffer>
  /** Those that were sent for this batch, small ones once their files are. */
  readonly ours: ReadonlySet<Digest>
  readonly failed: ReadonlyMap<Digest, BlobFailure>
  /** Somebody else is sending these to the same target: each resolves when that has ended. */
  readonly elsewhere: ReadonlyMap<Digest, Promise<unknown>>
  /** Says how it went, whatever happened: others may wait for it. */
  settle(outcome: 'arrived' | 'failed'): void
}

export interface Contents {
  /** Finds out what the target lacks, reads what is small and sends what is large. @throws LinkDown, NotOurProtocol, RemoteRefusal. */
  supply(blobs: readonly WantedBlob[], signal: AbortSignal): Promise<Supply>
}

interface ContentsDeps {
  readonly client: Pick<ClusterClient, 'missing'>
  readonly store: BlobStore
  readonly sender: BlobSender
  readonly inFlight: InFlight
  readonly inlineMaxBytes: number
  readonly progress: TransferProgress
}

export function createContents(deps: ContentsDeps): Contents {
  const { client, store, sender, inFlight, inlineMaxBytes, progress } = deps

  return {
    async supply(blobs, signal) {
      const wanted = new Map(blobs.map((blob) => [blob.digest, blob]))
      const missing = wanted.size === 0 ? [] : await client.missing([...wanted.keys()], signal)
      const elsewhere = new Map<Digest, Promise<unknown>>()
      const mine: WantedBlob[] = []
      for (const digest of missing) {
        const claim = inFlight.claim(digest)
        if (claim === 'mine') mine.push(wanted.get(digest)!)
        else elsewhere.set(digest, claim)
      }
      const settle = (outcome: 'arrived' | 'failed') => {
        for (const { digest } of mine) inFlight.settle(digest, outcome)
      }
      try {
        // A version may have more small files than fit in memory: the rest goes as large ones do.
        let room = MAX_INLINE_BYTES
        const isSmall = ({ sizeBytes }: WantedBlob) => {
          if (sizeBytes > inlineMaxBytes || sizeBytes > room) return false
          room -= sizeBytes
          return true
        }
        const { small = [], large = [] } = Object.groupBy(mine, (blob) => (isSmall(blob) ? 'small' : 'large'))
        const failed = large.length === 0 ? new Map<Digest, BlobFailure>() : await sender.send(large, progress, signal)
        const inline = small.length === 0 ? new Map<Digest, Buffer>() : await store.readMany(small, signal)
        for (const { digest, sizeBytes } of small) {
          if (inline.get(digest)?.length !== sizeBytes) failed.set(digest, MISSING_HERE)
        }
        return { inline, ours: new Set(mine.map(({ digest }) => digest)), failed, elsewhere, settle }
      } catch (error) {
        settle('failed')
        throw error
      }
    },
  }
}
