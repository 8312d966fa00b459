import { setImmediate as yieldThread } from 'node:timers/promises'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import { requireUploads } from '../../artifacts/repositories/repository-uploads.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import { storageTrouble } from '../../core/storage-trouble.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import {
  findPeerLink,
  internPeerLink,
  notePeerSource,
  streamFence,
  takeStream,
} from '../../metadata/replication/peers.ts'
import type { ItemException, PingFrame, SourceFrame, StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import type { StreamSession } from './apply-batch.ts'
import { checkEpoch } from './checked.ts'
import type { CommitBatch } from './commit-batch.ts'
import { createCommitLane } from './commit-lane.ts'
import { createFrameFeed, type Fed, type FrameFeed } from './frame-feed.ts'
import { createBatchBuilder, type IncomingBatch, type ItemFrame } from './incoming-batch.ts'
import type { SyncTarget } from './sync-target.ts'

interface StreamReceiverDeps {
  readonly db: MetadataDatabase
  readonly repositories: Repositories
  readonly clock: Clock
  readonly commitBatch: CommitBatch
  readonly metrics: Pick<Metrics, 'syncReceivedBytes'>
}

type Incoming = Exclude<SourceFrame, PingFrame>
type Reply = Parameters<SyncTarget['receive']>[2]

/** No row came from a link that never wrote here. */
const UNKNOWN_LINK = -1
/** A batch that is not full is committed when nothing came for this long. */
const IDLE_MS = 5
/** Frames that are taken before whoever else waits has a turn, and before we look whether the source is still there. */
const FRAMES_PER_TURN = 256

/**
 * The target's end of a stream. While one batch is synced and committed, the next one is read and hashed; a third is not begun, so
 * that a source that is faster than the disk waits.
 */
export function createStreamReceiver(deps: StreamReceiverDeps): SyncTarget['receive'] {
  const { db, repositories, clock, commitBatch, metrics } = deps

  /** Tells a zombie at once, and keeps whoever wrote before from writing any more. */
  async function openSession(linkKey: string, begin: StreamBegin): Promise<StreamSession> {
    const repository = await repositories.get(begin.project, begin.repo)
    requireUploads(repository)
    checkEpoch(repository, begin)
    if (begin.dryRun === true) {
      const via = (await findPeerLink(db.read, begin.sourceId, linkKey)) ?? UNKNOWN_LINK
      return { repository, begin, via, trial: { takenBytes: 0 } }
    }
    const { via, taken } = await db.transact(async (trx) => {
      const link = await internPeerLink(trx, begin.sourceId, linkKey)
      const { fromProject: project, fromRepo: repo } = begin
      if (project !== undefined && repo !== undefined) await notePeerSource(trx, link, { project, repo })
      return { via: link, taken: await takeStream(trx, link, begin.stream, begin.fence, clock.now()) }
    })
    const session = { repository, begin, via }
    if (!taken) throw await fencedOut(session)
    return session
  }
  async function fencedOut({ via, begin: { stream } }: StreamSession): Promise<AppError> {
    const fence = await streamFence(db.read, via, stream)
    return new AppError('FENCED', `Stream [${stream}] was taken over with the higher fence ${fence}`, { fence })
  }

  async function takeItems(
    session: StreamSession,
    arriving: Arriving,
    reply: Reply,
    signal: AbortSignal,
  ): Promise<void> {
    const { feed } = arriving
    const builder = createBatchBuilder()
    let isStopped = false
    /** A barrier came, and no item after it. */
    let isBarrierOpen = false
    async function exceptionsOf(batch: IncomingBatch): Promise<readonly ItemException[]> {
      if (isStopped) return batch.items.map(notTried)
      if (batch.items.length === 0) return []
      const applied = await commitBatch(session, batch, signal)
      if (applied === undefined) throw await fencedOut(session)
      isStopped = applied.failed && session.begin.stopAtFailure
      return applied.exceptions
    }
    async function settleBatch(batch: IncomingBatch): Promise<void> {
      metrics.syncReceivedBytes(batch.contentBytes)
      const exceptions = await exceptionsOf(batch)
      await reply({ type: 'ack', hi: batch.hi, seq: batch.seq, exceptions })
    }
    await using lane = createCommitLane(settleBatch)
    const flush = () => {
      signal.throwIfAborted()
      isBarrierOpen = false
      return lane.put(builder.seal())
    }
    const finish = async () => {
      if (isBarrierOpen || !builder.isEmpty) await flush()
      await lane.current
    }
    async function take(frame: ItemFrame): Promise<void> {
      // Barriers that follow each other are acknowledged together.
      if (isBarrierOpen) await flush()
      if (!builder.take(frame)) {
        await flush()
        builder.take(frame)
      }
      if (builder.isFull) await flush()
    }

    let taken = 0
    for (let fed = arriving.first; ; fed = await feed.next(lane.current, builder.isEmpty ? undefined : IDLE_MS)) {
      signal.throwIfAborted()
      if (fed === 'idle') await flush()
      // Without END the connection may still carry answers: what came is settled, and the source knows what it sent.
      if (fed === 'end') return finish()
      if (typeof fed === 'string') continue
      for (const frame of fed) {
        if (frame.type === 'end') {
          await finish()
          return reply(frame)
        }
        if (frame.type === 'begin') throw unexpected('BEGIN came twice')
        if (++taken % FRAMES_PER_TURN === 0) {
          await yieldThread()
          signal.throwIfAborted()
        }
        if (frame.type === 'barrier') {
          builder.barrier(frame.seq)
          isBarrierOpen = true
        } else await take(frame)
      }
      if (isBarrierOpen) await flush()
    }
  }

  return async function receive(linkKey, frames, reply, signal) {
    const feed = createFrameFeed(frames, clock)
    try {
      const { begin, first } = await beginningOf(feed)
      const session = await openSession(linkKey, begin)
      await takeItems(session, { feed, first }, reply, signal)
    } catch (error) {
      if (!hasCode(error, 'FENCED')) throw storageTrouble(error) ?? error
      await reply({ type: 'fenced', fence: error.detail.fence as number })
    } finally {
      feed.close()
    }
  }
}

/** The frames that came with BEGIN, and those that will. */
interface Arriving {
  readonly first: Fed<Incoming>
  readonly feed: FrameFeed<Incoming>
}

async function beginningOf(feed: FrameFeed<Incoming>): Promise<{ begin: StreamBegin; first: Fed<Incoming> }> {
  for (;;) {
    const fed = await feed.next(undefined, undefined)
    if (typeof fed === 'string') throw unexpected('it ended before BEGIN')
    const [frame, ...first] = fed
    if (frame === undefined) continue
    if (frame.type !== 'begin') throw unexpected(`${frame.type.toUpperCase()} came before BEGIN`)
    return { begin: frame.begin, first }
  }
}

const notTried = ({ item }: ItemFrame): ItemException => ({ item, result: 'not-tried', reason: '', remote: null })
const unexpected = (what: string) => new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${what}`)
