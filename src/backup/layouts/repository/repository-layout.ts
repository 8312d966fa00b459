import type { Clock } from '../../../core/clock.ts'
import { AppError, hasCode } from '../../../core/errors.ts'
import type { Ids, Random } from '../../../core/ids.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import type { BackupReader, BackupWriter, VerifyReport, VerifyShare } from '../layout.ts'
import type { StoredRun, WriterRequest } from '../layouts.ts'
import { runTimeOf } from '../run-name.ts'
import { indexUnindexed, removeDrafts } from './data-objects.ts'
import { createFrameThreads } from './frame-threads.ts'
import { DEFAULT_COST, type ScryptCost } from './key-slot.ts'
import { type Lease, type LeaseRequest, removeLeases, takeLease } from './lease.ts'
import { MARK_GRACE_MS, type PruneMode, type PruneReport, pruneRepository } from './prune-repository.ts'
import { createRepositories, type Repository } from './repository.ts'
import { CONFIG } from './repository-config.ts'
import { createRepositoryKeys, type RepositoryKeys } from './repository-keys.ts'
import {
  parseSnapshotName,
  parseSnapshotPath,
  repositoryLocation,
  repositoryPath,
  snapshotPath,
} from './repository-place.ts'
import { openRepositoryReader } from './repository-reader.ts'
import { hasRemains } from './repository-remains.ts'
import { openRepositoryWriter } from './repository-writer.ts'
import { snapshotName } from './snapshot-object.ts'
import { type RepositoryReport, verifyRepository } from './verify-repository.ts'

/** How long a backup waits for a prune of another server, and the other way round. */
const WAIT_MS = 10 * 60_000

/** Backups as snapshots of one de-duplicating store, `<place>/repo`. */
export interface RepositoryLayout extends AsyncDisposable {
  openWriter(request: WriterRequest, signal: AbortSignal): Promise<BackupWriter>
  /**
   * @param path of a snapshot. @param takes `legacy`: also one that is not encrypted, though there is a passphrase.
   * @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN, PERMISSION_DENIED (passphrase).
   */
  openReader(path: string, takes: 'whole' | 'legacy', signal: AbortSignal): Promise<BackupReader>
  isSnapshot(path: string): boolean
  /** Makes what a run that died has stored whole usable for the next, and removes its lease and drafts. */
  sweep(request: Pick<WriterRequest, 'place' | 'runId'>, signal: AbortSignal): Promise<void>
  /** The same, after a prune. @param path of `find`. */
  sweepAt(path: string, runId: string, signal: AbortSignal): Promise<void>
  /** Newest first. */
  list(place: string, name: string | undefined, signal: AbortSignal): Promise<StoredRun[]>
  /** Folder of the repository that a path is, or is the place of, also of one that has lost its config; undefined: there is none. */
  find(path: string, signal: AbortSignal): Promise<string | undefined>
  /** All of a repository. @param path of `find`. */
  verify(
    path: string,
    share: VerifyShare,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<RepositoryReport>
  /** Takes snapshots away; what only they needed is left to `prune`. Missing is fine. */
  removeSnapshots(path: string, snapshots: readonly string[], signal: AbortSignal): Promise<void>
  /** @param wait `no`: for when it is not urgent. @throws AppError FENCED when others are at work in it. */
  prune(path: string, run: PruneRun, signal: AbortSignal): Promise<PruneReport>
  readonly keys: RepositoryKeys
}
export interface PruneRun {
  readonly runId: string
  readonly mode: PruneMode
  readonly wait: 'yes' | 'no'
}

export interface RepositoryLayoutDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  readonly locationAt: (path: string) => BackupLocation
  /** Undefined: repositories that are made are not encrypted. */
  readonly passphrase: () => Promise<string | undefined>
  /** Of the names of runs. */
  readonly timeZone: string
  /** For people, in leases. */
  readonly server: string
  /** Threads that hash and seal. */
  readonly threads: number
  readonly scryptCost?: ScryptCost
  readonly graceMs?: number
}

export function createRepositoryLayout(deps: RepositoryLayoutDeps): RepositoryLayout {
  const { clock, ids, random, passphrase, timeZone, scryptCost = DEFAULT_COST, graceMs = MARK_GRACE_MS } = deps
  const locationAt = (path: string) => repositoryLocation(deps.locationAt, path)
  const repositories = createRepositories({ ...deps, scryptCost })
  const threads = createFrameThreads(deps.threads)
  const lease = (location: BackupLocation, request: LeaseRequest, signal: AbortSignal): Promise<Lease> =>
    takeLease(location, request, deps, signal)

  const keys = createRepositoryKeys({ ...deps, locationAt, scryptCost, lease, repositories })
  /** Whoever can write to a place can make a repository there. */
  const isOpenToAll = async ({ master }: Repository) => master === undefined && (await passphrase()) !== undefined
  async function find(path: string, signal: AbortSignal): Promise<string | undefined> {
    const folders = [path, repositoryPath(path)]
    for (const folder of folders) if ((await locationAt(folder).find(CONFIG, signal)) !== undefined) return folder
    // One that has lost its config must not go unnoticed.
    for (const folder of folders) if (await hasRemains(locationAt(folder), signal)) return folder
    return undefined
  }
  async function sweepAt(path: string, runId: string, signal: AbortSignal): Promise<void> {
    const location = locationAt(path)
    // What a prune leaves is whole, whereas nobody could get in beside its lease.
    await removeLeases(location, runId, 'exclusive', signal)
    if ((await location.find(CONFIG, signal)) !== undefined) {
      await using held = await lease(location, { kind: 'shared', runId, waitMs: WAIT_MS }, signal)
      const repository = await repositories.open(location, signal)
      await held.check(signal)
      await indexUnindexed(repository, signal)
      await held.removeStale(signal)
    }
    // Last: it tells others that there may be objects without an index.
    await removeLeases(location, runId, 'shared', signal)
    try {
      await using _ = await lease(location, { kind: 'exclusive', runId, waitMs: 0 }, signal)
      await removeDrafts(location, signal)
    } catch (error) {
      // Somebody is at work in it; the next prune removes them.
      if (!hasCode(error, 'FENCED')) throw error
    }
  }
  return {
    async openWriter(request, signal) {
      const location = locationAt(repositoryPath(request.place))
      const held = await lease(location, { kind: 'shared', runId: request.runId, waitMs: WAIT_MS }, signal)
      try {
        const repository = await repositories.openToWrite(location, signal)
        return await openRepositoryWriter(repository, held, request, { clock, ids, random, threads, timeZone }, signal)
      } catch (error) {
        await held[Symbol.asyncDispose]()
        throw error
      }
    },
    async openReader(path, takes, signal) {
      const parsed = parseSnapshotPath(path)
      if (parsed === undefined) throw new AppError('ARTIFACT_BROKEN', `[${path}] is no snapshot of a backup repository`)
      const repository = await repositories.open(locationAt(parsed.repository), signal)
      const isOpen = await isOpenToAll(repository)
      if (isOpen && takes === 'whole')
        throw new AppError('ARTIFACT_BROKEN', `[${path}] is not to be trusted: ${OPEN_TO_ALL}`)
      const reader = await openRepositoryReader(repository, parsed.snapshot, { threads, random }, signal)
      if (!isOpen) return reader
      return { ...reader, verify: async (...of) => toldOpen(path, await reader.verify(...of)) }
    },
    isSnapshot: (path) => parseSnapshotPath(path) !== undefined,
    sweep: ({ place, runId }, signal) => sweepAt(repositoryPath(place), runId, signal),
    sweepAt,
    async list(place, name, signal) {
      const path = repositoryPath(place)
      const runs: StoredRun[] = []
      for (const child of await locationAt(path).children('snapshots', signal)) {
        const parsed = parseSnapshotName(child.name)
        const startedAt = parsed === undefined ? undefined : runTimeOf(parsed.time, timeZone)
        if (parsed === undefined || startedAt === undefined || child.kind !== 'object') continue
        if (name !== undefined && parsed.name !== name) continue
        runs.push({ name: parsed.name, path: snapshotPath(path, child.name), layout: 'REPOSITORY', startedAt })
      }
      return runs.sort((a, b) => b.startedAt - a.startedAt)
    },
    find,
    async verify(path, share, onBytes, signal) {
      const repository = await repositories.open(locationAt(path), signal)
      const report = await verifyRepository(repository, { threads, random }, share, onBytes, signal)
      return (await isOpenToAll(repository)) ? toldOpen(path, report) : report
    },
    async removeSnapshots(path, snapshots, signal) {
      for (const snapshot of snapshots) await locationAt(path).delete(snapshotName(snapshot), signal)
    },
    async prune(path, { runId, mode, wait }, signal) {
      const location = locationAt(path)
      const repository = await repositories.open(location, signal)
      await using held = await lease(
        location,
        { kind: mode === 'for real' ? 'exclusive' : 'shared', runId, waitMs: wait === 'yes' ? WAIT_MS : 0 },
        signal,
      )
      return await pruneRepository(repository, held, mode, { clock, ids, random, graceMs }, signal)
    },
    keys,
    [Symbol.asyncDispose]: () => threads[Symbol.asyncDispose](),
  }
}

const OPEN_TO_ALL =
  'its repository is not encrypted, though this server has a passphrase: anybody may have made it. Restore with legacy=true takes it'

const toldOpen = <R extends VerifyReport>(object: string, report: R): R => ({
  ...report,
  findings: [...report.findings, { object, reason: OPEN_TO_ALL }],
})
