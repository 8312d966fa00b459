import type { LocalCluster } from './local-cluster.ts'
import { recordsOf, until } from './real-time.ts'
import { detailsOf } from './replication-calls.ts'
import { atFrame, FRAME } from './stop-places.ts'
import type { TwoClusters } from './two-clusters.ts'

export interface LostResults {
  /** Rejects when what was to arrive never did. */
  readonly lost: Promise<void>
}

/**
 * Lets all but the first `acks` acknowledgements of streams get lost: when `arrived` holds at the target, the line is cut, and nothing passes
 * any more until another script is set.
 */
export function loseResults(
  two: Pick<TwoClusters, 'line'>,
  acks: number,
  arrived: () => Promise<boolean>,
  signal: AbortSignal,
): LostResults {
  const lost = Promise.withResolvers<void>()
  let isAway = false
  two.line.script(({ path }) => {
    if (isAway) return { cutAfterBytes: 0 }
    if (!path.includes('/stream')) return undefined
    return {
      at: atFrame('answer', 'before', FRAME.ack, acks + 1),
      async reached() {
        await until(arrived, signal).then(lost.resolve, lost.reject)
        isAway = true
        return 'cut'
      },
    }
  })
  return { lost: lost.promise }
}

/** Names of artifacts with the status of each of their details, over all records of a task. */
export async function allDetails(
  where: Pick<LocalCluster, 'api'>,
  key: string,
  signal: AbortSignal,
): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  for (const { id } of await recordsOf(where, key, signal)) {
    for (const { artifactName, status } of (await detailsOf(where.api, id, 1000, signal)).records) {
      found[artifactName] = [...(found[artifactName] ?? []), status]
    }
  }
  return found
}
