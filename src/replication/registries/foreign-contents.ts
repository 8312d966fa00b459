import { buffer } from 'node:stream/consumers'
import type { Clock } from '../../core/clock.ts'
import type { ForeignPushOptions } from '../../formats/foreign.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findPushedUpload, forgetPushedUpload, savePushedUpload } from '../../metadata/replication/pushed-uploads.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'

/** Contents on their way to one registry: read from our store, within the limits, remembered when they are large. */
export interface ForeignContents {
  traffic(): Traffic
  /** @param onBytes hears of what goes out. */
  options(onBytes: (count: number) => void): ForeignPushOptions
}
/** Bytes that went out and do not count yet. */
export interface Traffic {
  add(count: number): void
  readonly underWay: () => number
  /** @returns them; they count from here on. */
  take(): number
}

interface ForeignContentsDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly store: Pick<BlobStore, 'pull' | 'open'>
  readonly clusterId: string
  readonly rate: RateLimit
  readonly signal: AbortSignal
}

export function createForeignContents(deps: ForeignContentsDeps): ForeignContents {
  const { db, clock, store, clusterId, rate, signal } = deps
  return {
    traffic() {
      let bytes = 0
      return {
        add(count) {
          bytes += count
        },
        underWay: () => bytes,
        take() {
          const taken = bytes
          bytes = 0
          return taken
        },
      }
    },
    options: (onBytes) => ({
      open: ({ digest }, range, stop) => store.pull(digest, range, stop),
      read: async ({ digest }, stop) => buffer(await store.open(digest, undefined, stop)),
      onBytes(count) {
        onBytes(count)
        return rate.take(count, signal)
      },
      uploads: {
        find: (repository, content) => findPushedUpload(db.read, { clusterId, repository, content }),
        save: (repository, content, place) =>
          db.transact((trx) => savePushedUpload(trx, { clusterId, repository, content }, place, clock.now())),
        forget: (repository, content) =>
          db.transact((trx) => forgetPushedUpload(trx, { clusterId, repository, content })),
      },
    }),
  }
}
