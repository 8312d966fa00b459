import type { Digest } from '../../core/digest.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { Contents, Supply } from '../delivery/contents.ts'

/** Contents that a run would send to one target: each counts once, whichever link needs it first. */
export interface PlannedContents extends Contents {
  /** Bytes that the target lacks of what was supplied so far. */
  readonly bytes: number
  /** Whether the target was asked about the content. */
  hasAsked(digest: Digest): boolean
}

/** What links to one target know together: of a content that is missing the first one has counted the bytes. */
export type CountedContents = Set<number>

/** 52 bits: of a million contents two are taken for one with a probability of one in ten thousand. */
const numberOf = (digest: Digest): number => Number.parseInt(digest.slice(digest.indexOf(':') + 1).slice(0, 13), 16)

export function plannedContents(client: Pick<ClusterClient, 'missing'>, counted: CountedContents): PlannedContents {
  let bytes = 0
  const asked = new Set<number>()
  return {
    get bytes() {
      return bytes
    },
    hasAsked: (digest) => asked.has(numberOf(digest)),
    async supply(blobs, signal): Promise<Supply> {
      const wanted = new Map(blobs.map((blob) => [blob.digest, blob]))
      for (const digest of wanted.keys()) asked.add(numberOf(digest))
      const missing = wanted.size === 0 ? [] : await client.missing([...wanted.keys()], signal)
      const ours = new Set<Digest>()
      for (const digest of missing) {
        const number = numberOf(digest)
        if (counted.has(number)) continue
        counted.add(number)
        ours.add(digest)
        bytes += wanted.get(digest)!.sizeBytes
      }
      return { inline: new Map(), ours, failed: new Map(), elsewhere: new Map(), settle: () => undefined }
    },
  }
}
