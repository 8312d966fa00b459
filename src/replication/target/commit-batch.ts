import { setImmediate as yieldThread } from 'node:timers/promises'
import type { BlobIntake, PackedBlobs } from '../../artifacts/blobs/blob-intake.ts'
import { settle } from '../../artifacts/nodes/settle.ts'
import type { RulesOf } from '../../artifacts/packages/package-rules.ts'
import type { Clock } from '../../core/clock.ts'
import { Semaphore } from '../../core/concurrency.ts'
import type { Digest } from '../../core/digest.ts'
import type { Hlc, HlcClock } from '../../core/hlc.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { internPeers, takeStream } from '../../metadata/replication/peers.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { ItemException } from '../../remotes/cluster/frames/frame.ts'
import type { Applied, BatchToApply, StreamSession } from './apply-batch.ts'
import { applyItems } from './apply-items.ts'
import type { IncomingBatch } from './incoming-batch.ts'
import { refusalOf, stampsIn } from './item-check.ts'
import { judgeBatch } from './judge-batch.ts'
import { pruneFolders } from './prune-folders.ts'
import { transactWithinQuota } from './room.ts'

/** Undefined: a higher fence was here, so that nothing was written. */
export type CommitBatch = (
  session: StreamSession,
  batch: IncomingBatch,
  signal: AbortSignal,
) => Promise<Applied | undefined>

export interface CommitBatchDeps {
  readonly db: MetadataDatabase
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
  /** Of this cluster: rows that began here keep origin 0. */
  readonly clusterId: string
  readonly metrics: Pick<Metrics, 'syncRedundantBytes'>
  readonly rulesOf: RulesOf
}

/** PostgreSQL works while this thread waits for it; SQLite works in this thread. */
const COMMITS_AT_ONCE = { sqlite: 1, postgres: 4 } as const
const MAX_PACKINGS = 3

/**
 * Makes a batch durable and visible: its contents in a segment, synced, then all its items in one transaction, so that an
 * acknowledgement that is sent afterwards promises both. Commits of all streams follow each other, and whoever else waits for this
 * thread has its turn before each.
 */
export function createBatchCommitter(deps: CommitBatchDeps): CommitBatch {
  const { db, intake, clock, hlc, clusterId, metrics, rulesOf } = deps
  const turns = new Semaphore(COMMITS_AT_ONCE[db.dialect])
  /** Never removed from the database, so that it need not be asked for each batch. */
  const peerIds = new Map<string, number>()

  async function learnPeers({ items }: IncomingBatch, spoilt: BatchToApply['spoilt']): Promise<void> {
    const unknown = new Set<string>()
    for (const frame of items) {
      if (spoilt.has(frame.item)) continue
      for (const { origin } of stampsIn(frame)) {
        if (!peerIds.has(origin) && origin !== clusterId) unknown.add(origin)
      }
    }
    if (unknown.size === 0) return
    for (const [id, peer] of await db.transact((trx) => internPeers(trx, [...unknown]))) peerIds.set(id, peer)
  }
  /** Judges what can be judged without the database. */
  function judgedAlone({ repository }: StreamSession, { items, broken }: IncomingBatch, now: number) {
    const spoilt = new Map<number, Pick<ItemException, 'result' | 'reason'>>(broken)
    const rules = rulesOf(repository.type)
    for (const frame of items) {
      const refusal = refusalOf(frame, now, repository, rules)
      if (refusal !== undefined) spoilt.set(frame.item, { result: 'refused', reason: refusal })
    }
    return spoilt
  }
  function spoiltOf(session: StreamSession, batch: IncomingBatch, now: number) {
    const spoilt = judgedAlone(session, batch, now)
    let latest: Hlc | undefined
    for (const frame of batch.items) {
      if (spoilt.has(frame.item)) continue
      for (const stamp of stampsIn(frame)) if (latest === undefined || stamp.hlc > latest) latest = stamp.hlc
    }
    if (latest !== undefined) hlc.observe(latest)
    return spoilt
  }

  async function commit(session: StreamSession, batch: BatchToApply, packed: PackedBlobs, signal: AbortSignal) {
    const { via, begin } = session
    using _turn = await turns.acquire()
    await yieldThread()
    signal.throwIfAborted()
    const now = clock.now()
    return settle(() =>
      transactWithinQuota(db, async (trx) => {
        if (!(await takeStream(trx, via, begin.stream, begin.fence, now))) return undefined
        const claim = async (digests: ReadonlySet<Digest>) => {
          if (packed.length > 0) await intake.claimPacked(trx, packed)
          // Half of the work is done: nobody waits for this thread longer than for one half.
          await yieldThread()
          const here = new Map(packed.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
          const elsewhere = [...digests].filter((digest) => !here.has(digest))
          for (const [digest, sizeBytes] of await touchBlobs(trx, elsewhere, now)) here.set(digest, sizeBytes)
          return here
        }
        return applyItems(trx, session, batch, rulesOf, claim, now)
      }),
    )
  }

  return async function commitBatch(session, batch, signal) {
    if (session.trial !== undefined) {
      const spoilt = judgedAlone(session, batch, clock.now())
      return judgeBatch(deps, session, { items: batch.items, spoilt, peerIds, clusterId })
    }
    const spoilt = spoiltOf(session, batch, clock.now())
    await learnPeers(batch, spoilt)
    for (let attempts = 1; ; attempts++) {
      const packed = batch.contents.size === 0 ? [] : await intake.pack([...batch.contents.values()], signal)
      try {
        const applied = await commit(session, { items: batch.items, spoilt, peerIds, clusterId }, packed, signal)
        metrics.syncRedundantBytes(bytesHeldBefore(packed))
        if (applied !== undefined) await pruneFolders(db, session.repository.id, batch.items, applied, clock.now())
        return applied
      } catch (error) {
        // The segment was given up meanwhile.
        if (!isGivenUp(error) || attempts === MAX_PACKINGS) throw error
      }
    }
  }
}

/** Contents that a row promised already, and kept. */
const bytesHeldBefore = (packed: PackedBlobs): number =>
  packed.reduce((sum, blob) => (blob.place === undefined && !blob.wasLost ? sum + blob.sizeBytes : sum), 0)
