import { createHash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { digestFromBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { BlobRow } from '../../metadata/storage/blobs.ts'
import { type DamageKind, lockPromise, lockWithdrawn, withdrawPromise } from '../../metadata/storage/scrub-findings.ts'
import {
  latestScrubRun,
  openScrubRun,
  pagePromisedBlobs,
  type ScrubProgress,
  type ScrubRun,
  saveScrubProgress,
} from '../../metadata/storage/scrub-runs.ts'
import type { BlobStore } from '../../storage/blob-store.ts'

export type { ScrubRun } from '../../metadata/storage/scrub-runs.ts'

export interface ScrubDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: Clock
  /** Of a pass that nobody asked for. */
  readonly bytesPerSecond: number
  /** From the end of a pass to the next one that nobody asked for. */
  readonly intervalMs: number
  /** Bytes that were acknowledged are wrong or gone: somebody has to look. */
  readonly onDamage: (blob: BlobRow, kind: DamageKind) => void
}

/** Reads stored blobs again and compares them with their digest. What is wrong is taken out of the way of readers. */
export interface Scrub {
  /** Begins a pass at full speed, unless one is open already. `work` does it. */
  request(by: string): Promise<ScrubRun>
  latest(): Promise<ScrubRun | undefined>
  /** Goes on with the open pass, or begins the scheduled one when its time has come. Resumes where a process died. */
  work(signal: AbortSignal): Promise<void>
  /** Looks at one blob that a reader found to be wrong. */
  examine(blob: BlobRow, signal: AbortSignal): Promise<DamageKind | undefined>
}

const SYSTEM = 'system'
const BLOBS_AT_ONCE = 100
const SAVED_EVERY_MS = 2_000

export function createScrub(deps: ScrubDeps): Scrub {
  const { db, store, clock, bytesPerSecond, intervalMs, onDamage } = deps

  async function faultOf({ digest, sizeBytes }: BlobRow, signal: AbortSignal): Promise<DamageKind | undefined> {
    try {
      const hash = createHash('sha256')
      let size = 0
      for await (const chunk of await store.open(digest, undefined, signal)) {
        hash.update(chunk as Buffer)
        size += (chunk as Buffer).length
      }
      return size === sizeBytes && digestFromBytes(hash.digest()) === digest ? undefined : 'DAMAGED'
    } catch (error) {
      if (hasCode(error, 'BLOB_UNKNOWN')) return 'MISSING'
      throw error
    }
  }

  /**
   * First the promise, then the file: a process that dies in between leaves wrong bytes that nobody relies on, and that whoever
   * sends the right ones replaces. The other way round an upload would be told that its bytes are here already.
   */
  async function withdraw(blob: BlobRow, kind: DamageKind, signal: AbortSignal): Promise<void> {
    const withdrawn = await db.transact(async (trx) => {
      if (!(await lockPromise(trx, blob.digest))) return false
      await withdrawPromise(trx, blob, kind, clock.now())
      return true
    })
    if (!withdrawn) return
    onDamage(blob, kind)
    await db.transact(async (trx) => {
      if (await lockWithdrawn(trx, blob.digest)) await store.quarantine(blob.digest, signal)
    })
  }

  async function examine(blob: BlobRow, signal: AbortSignal): Promise<DamageKind | undefined> {
    const first = await faultOf(blob, signal)
    // Read twice: it may have been collected, or a disk may have stumbled.
    const kind = first === undefined ? undefined : await faultOf(blob, signal)
    if (kind !== undefined) await withdraw(blob, kind, signal)
    return kind
  }

  async function due(): Promise<ScrubRun | undefined> {
    const last = await latestScrubRun(db.read)
    if (last?.endedAt === null) return last
    if (last !== undefined && last.endedAt !== null && last.endedAt + intervalMs > clock.now()) return undefined
    return db.transact((trx) => openScrubRun(trx, SYSTEM, clock.now()))
  }

  /** So slow that reading and waiting together keep to the rate. */
  async function pace({ requestedBy }: ScrubRun, bytes: number, sinceMs: number, signal: AbortSignal): Promise<void> {
    if (requestedBy !== SYSTEM) return
    const leftMs = (bytes / bytesPerSecond) * 1000 - (clock.now() - sinceMs)
    if (leftMs > 0) await clock.sleep(leftMs, signal)
  }

  return {
    request: (by) => db.transact((trx) => openScrubRun(trx, by, clock.now())),
    latest: () => latestScrubRun(db.read),
    examine,
    async work(signal) {
      let run = await due()
      if (run === undefined) return
      let progress: ScrubProgress = run
      let savedAt = clock.now()
      const save = async (endedAt: number | null) => {
        await db.transact((trx) => saveScrubProgress(trx, run!.id, progress, endedAt))
        savedAt = clock.now()
      }
      for (;;) {
        signal.throwIfAborted()
        const page = await pagePromisedBlobs(db.read, progress.position, BLOBS_AT_ONCE)
        if (page.length === 0) return save(clock.now())
        for (const blob of page) {
          const startedAt = clock.now()
          const kind = await examine(blob, signal)
          progress = counted(progress, blob, kind)
          await pace(run, blob.sizeBytes, startedAt, signal)
          if (clock.now() - savedAt < SAVED_EVERY_MS) continue
          await save(null)
          // Somebody may wait for it by now.
          run = (await latestScrubRun(db.read)) ?? run
        }
      }
    },
  }
}

function counted(before: ScrubProgress, { digest, sizeBytes }: BlobRow, kind: DamageKind | undefined): ScrubProgress {
  return {
    position: digest,
    blobs: before.blobs + 1,
    bytes: before.bytes + sizeBytes,
    damaged: before.damaged + (kind === 'DAMAGED' ? 1 : 0),
    missing: before.missing + (kind === 'MISSING' ? 1 : 0),
  }
}
