import type { Reader } from '../../metadata/database.ts'
import type { RestoreRun } from '../restore/restore-run.ts'

/** A record file of what belongs to no repository (users, roles, permissions, accounts, clusters, tasks), both ways. */
export interface CommonFile {
  /** One of `COMMON_FILES`. */
  readonly path: string
  /** Its records as of the snapshot that `reader` is. */
  read(reader: Reader, signal: AbortSignal): AsyncIterable<object>
  /** For one restore: both phases of it come from one call. */
  restoring(run: RestoreRun): CommonRestore
}

/**
 * Puts the records of a file back, by the strategy of the run, in two phases: what names no repository comes before projects and
 * repositories, what names some comes after the last of them. The activity goes through all files, in their order, in each phase, and
 * reads a file again for each phase that it has. Records are judged one by one: bad ones go to `run.fail`, the others are counted
 * as success or skipped. A dry run judges what can be judged without writing, and writes nothing.
 */
export interface CommonRestore {
  readonly beforeRepositories?: RestorePhase
  readonly afterRepositories?: RestorePhase
}
/** @param records parsed lines of the file, in their order. */
export type RestorePhase = (records: AsyncIterable<unknown>, signal: AbortSignal) => Promise<void>

/** Secrets that the server can show to others (passwords of clusters and upstreams, keys of webhooks) on their way through a backup. */
export interface SecretCarrier {
  /** @param stored as the database keeps it, for `place`. @returns text that is in the backup: sealed with the backup's passphrase, or as it is when there is none. */
  pack(stored: string, place: string): string
  /**
   * @param place where it will be kept, which may be another than it was packed for: ids are given anew.
   * @returns text for the database; undefined: it was sealed with a key that is not here, or was changed.
   */
  unpack(packed: string, place: string): string | undefined
}
