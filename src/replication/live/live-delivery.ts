import type { MetadataDatabase } from '../../metadata/database.ts'
import { listPeers, peerSourcesOf } from '../../metadata/replication/peers.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { createContents } from '../delivery/contents.ts'
import { type DeliveryContext, deliverBatch } from '../delivery/deliver-batch.ts'
import { itemsAt } from '../delivery/items-at.ts'
import type { Outcome } from '../delivery/outcome.ts'
import { createBlobSender } from '../delivery/send-blobs.ts'
import { verifyStored } from '../delivery/verify-stored.ts'
import { filesOf, type WorkItem } from '../delivery/work-item.ts'
import { relatedTo } from '../planning/package-artifacts.ts'
import { unasked } from './live-contents.ts'
import type { LiveSession } from './live-session.ts'
import { createLiveStream } from './live-stream.ts'
import { noteTraffic } from './traffic-note.ts'

/** What a follower needs to bring changed paths over. */
export interface LiveDelivery extends AsyncDisposable {
  /** @returns what became of them, in their order. @throws as `deliverBatch`. */
  deliver(items: readonly WorkItem[]): Promise<Outcome[]>
  /** What these paths have become; without what the target itself wrote. */
  itemsOf(paths: readonly string[]): Promise<WorkItem[]>
  /** Bytes of contents that went out since the last call. */
  takeSentBytes(): number
  /** Nothing is under way: closes what was not used for a while. */
  rest(): Promise<void>
}

const PATHS_AT_ONCE = 1_000
/** Later attempts are of the ledger: nothing that follows waits for them. */
const RETRY_DELAYS_MS: readonly number[] = [100]

export function createLiveDelivery(
  db: MetadataDatabase,
  { claim, work, context, targetId }: LiveSession,
  signal: AbortSignal,
): LiveDelivery {
  const { spec, scope } = work
  const { client, store, clock, inFlight, partThresholdBytes } = context
  const { inlineMaxBytes } = context.batch
  const rate = context.rate.nested(`live/${claim.linkId}`, undefined)
  let sentBytes = 0
  let checkpoints = 0
  const progress = {
    sent(count: number) {
      sentBytes += count
    },
    stored: context.onStored,
  }
  const noting = noteTraffic({ db, clock, claim, traffic: () => ({ bytes: sentBytes, checkpoints }) })
  const begin = { ...context.begin, stream: 'live', fence: claim.token }
  const open = () =>
    client.openStream(context.linkKey, begin, { sent: progress.sent, acknowledged: progress.stored }, signal)
  const line = createLiveStream({ clock, places: context.places, open }, signal)
  const sender = createBlobSender(client, store, rate, { partThresholdBytes, concurrency: context.transfers })
  const askStorage: Pick<ClusterClient, 'missing'> = {
    missing: (digests, stop) => client.missing(digests, stop, spec.checksStorage ? 'in storage' : undefined),
  }
  const asking = createContents({ client: askStorage, store, sender, inFlight, inlineMaxBytes, progress })
  let peers: ReadonlyMap<number, string> = new Map()
  const originOf = (origin: number) =>
    origin === 0 ? context.begin.sourceId : (peers.get(origin) ?? context.begin.sourceId)
  /** Clusters that nobody had heard of when the link was opened may have written since. */
  async function learnOrigins(items: readonly WorkItem[]): Promise<void> {
    const isKnown = (origin: number) => origin === 0 || peers.has(origin)
    const origins = items.flatMap((item) => [authorshipOf(item), ...filesOf(item)]).map(({ origin }) => origin)
    if (!origins.every(isKnown)) peers = await listPeers(db.read)
  }

  /** Whether a link brings the very repository here that these changes go to. It is the same as long as the link is. */
  const ways = new Map<number, boolean>()
  async function learnWays(items: readonly WorkItem[]): Promise<void> {
    const unknown = items.flatMap((item) => authorshipOf(item).viaLink ?? []).filter((via) => !ways.has(via))
    for (const [via, { clusterId, project, repo }] of await peerSourcesOf(db.read, [...new Set(unknown)])) {
      const isSame = project === null || (project === work.object.remoteProject && repo === work.object.remoteRepo)
      ways.set(via, clusterId === targetId && isSame)
    }
  }
  const isEcho = (item: WorkItem): boolean => ways.get(authorshipOf(item).viaLink ?? -1) === true

  const delivery: DeliveryContext = {
    ...context,
    ...{ rate, originOf },
    stream: line.stream,
    contents: unasked(asking, store, inlineMaxBytes),
    // Its batches are small: they say nothing about what the target can take.
    concurrency: { acked: () => undefined, congested: () => undefined },
    includeMetadata: spec.includeMetadata,
    conflictStrategy: spec.conflictStrategy,
    stopAtFailure: spec.errorStrategy === 'FAST_FAIL',
    retryDelaysMs: RETRY_DELAYS_MS,
  }

  return {
    async deliver(items) {
      const outcomes = await context.unsettled.settle(await deliverBatch(items, delivery, signal))
      const timeoutMs = context.storageCheckMs
      return spec.checksStorage ? verifyStored(outcomes, { client, clock, timeoutMs }, signal) : outcomes
    },
    async itemsOf(paths) {
      if (paths.length === 0) return []
      const ifGone = spec.propagateDelete ? 'delete' : undefined
      const related = await relatedTo(db.read, scope, paths)
      const planned = [
        ...paths.map((path) => ({ path, expect: null, ifGone }) as const),
        ...related.filter((path) => !paths.includes(path)).map((path) => ({ path, expect: null })),
      ]
      const items: WorkItem[] = []
      for (let at = 0; at < planned.length; at += PATHS_AT_ONCE) {
        items.push(...(await itemsAt(db, scope, planned.slice(at, at + PATHS_AT_ONCE), clock.now())))
      }
      await learnOrigins(items)
      await learnWays(items)
      return items.filter((item) => !isEcho(item))
    },
    takeSentBytes() {
      const bytes = sentBytes
      sentBytes = 0
      checkpoints++
      return bytes
    },
    rest: () => line.rest(),
    async [Symbol.asyncDispose]() {
      rate.close()
      await noting[Symbol.asyncDispose]()
      await line.stream[Symbol.asyncDispose]()
    },
  }
}

interface Authorship {
  /** `peer.id` of the cluster that made it what it is. */
  readonly origin: number
  /** `peer_link.id` of the link that brought it; null: a local user made it so. */
  readonly viaLink: number | null
}
function authorshipOf(item: WorkItem): Authorship {
  switch (item.kind) {
    case 'file':
      return item.file
    case 'deletion':
      return item.tombstone
    case 'version':
      return item.source.version
    case 'package':
      return item.owner
  }
}
