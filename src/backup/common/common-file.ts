import type { Reader } from '../../metadata/database.ts'
import type { RestoreRun } from '../restore/restore-run.ts'

/** A record file of what belongs to no repository (users, roles, permissions, accounts, clusters, tasks), both ways. */
export interface CommonFile {
  /** One of `COMMON_FILES`. */
  readonly path: string
  /** Its records as of the snapshot that `reader` is. */
  read(reader: Reader, signal: AbortSignal): AsyncIterable<object>
  /** Puts records back, by the strategy of the run. Each is judged by itself: bad ones go to `run.fail`. */
  restore(records: AsyncIterable<unknown>, run: RestoreRun, signal: AbortSignal): Promise<void>
}

/** Secrets that the server can show to others (passwords of clusters and upstreams, keys of webhooks) on their way through a backup. */
export interface SecretCarrier {
  /** @param stored as the database keeps it, for `place`. @returns text that is in the backup: sealed with the backup's passphrase, or as it is when there is none. */
  pack(stored: string, place: string): string
  /** @returns text for the database, at `place`; undefined: it was sealed with a key that is not here. */
  unpack(packed: string, place: string): string | undefined
}
