import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { comparePaths, type NodePath, ROOT } from '../../core/paths.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { type AgedFile, listModifiedBefore, walkBelow, walkFilesIn } from '../../metadata/nodes/aged-files.ts'
import type { Deleted } from '../../metadata/nodes/node-writes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { listWithCleanup, type Repository } from '../../metadata/repositories/repositories.ts'
import { deleteFiles, lockLive } from '../nodes/node-writer.ts'
import { stampOver } from '../nodes/settle.ts'
import { inSlices } from '../trees/in-slices.ts'
import { type CleanupStrategy, keptSince, planCleanup } from './cleanup-strategy.ts'

/** What was deleted; `at` is when it began (UTC epoch ms), the restore point of all of it. */
export interface Cleaned {
  readonly files: number
  readonly bytes: number
  readonly at: number
}

/**
 * Deletes files by age, in slices; each slice is a transaction with its tombstones and change log rows. What was done when it is
 * cut stays done, and the next call goes on. Folders stay.
 */
export interface Cleanup {
  /** Files last modified before a time (UTC epoch ms). */
  clean(repository: Repository, before: number, by: string, signal: AbortSignal): Promise<Cleaned>
  /** Does what the strategies of all repositories say. @returns how many files went. */
  runStrategies(signal: AbortSignal): Promise<number>
}

interface CleanupDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
  /** Of date-times of the wire. */
  parseTime(name: string, value: unknown): number
  /** A strategy that cannot be followed must not keep the others waiting. */
  onError(error: unknown, about: Readonly<Record<string, unknown>>): void
}

/** Who deletes what a strategy does not keep. */
const SYSTEM = 'system'
/** Rows of one look at a tree: about 5 ms on SQLite. */
const LOOK_ROWS = 1_000

interface CleanRequest {
  readonly repository: Repository
  readonly before: number
  readonly by: string
  /** A caller waits unless it says otherwise. */
  readonly pace?: 'background'
}

interface Sweep {
  readonly repository: Repository
  readonly by: string
  readonly at: number
  /** Looked at again once the rows are locked. */
  isDue(file: Pick<NodeRecord, 'path' | 'modifiedAt'>): boolean
}

export function createCleanup({ db, clock, hlc, parseTime, onError }: CleanupDeps): Cleanup {
  async function deleteDue(trx: Transaction, { repository, by, at, isDue }: Sweep, paths: readonly NodePath[]) {
    const rows = [...(await lockLive(trx, repository.id, paths)).values()]
    const due = rows.filter((row) => !row.folder && isDue(row))
    return deleteFiles(trx, repository, due, { by, at, hlc: stampOver(hlc, due), origin: 0, viaLink: null })
  }

  async function cleanBefore({ repository, before, by, pace }: CleanRequest, signal: AbortSignal): Promise<Cleaned> {
    const sweep = { repository, by, at: clock.now(), isDue: (file: { modifiedAt: number }) => file.modifiedAt < before }
    let [files, bytes] = [0, 0]
    let after: AgedFile | undefined
    const work = async (trx: Transaction, limit: number) => {
      const some = await listModifiedBefore(trx, repository.id, before, after, limit)
      const paths = some.map(({ path }) => path)
      return { some, gone: await deleteDue(trx, sweep, paths) }
    }
    const count = ({ some, gone }: Awaited<ReturnType<typeof work>>, limit: number) => {
      files += gone.files
      bytes += gone.bytes
      after = some.at(-1)
      return some.length < limit ? 'done' : 'more'
    }
    await inSlices({ db, clock, pace }, work, count, signal)
    return { files, bytes, at: sweep.at }
  }

  /** Deletes those of the paths that are still due. */
  async function sweepPaths(sweep: Sweep, paths: readonly NodePath[], signal: AbortSignal): Promise<number> {
    let [at, files] = [0, 0]
    if (paths.length === 0) return 0
    const work = (trx: Transaction, limit: number) => deleteDue(trx, sweep, paths.slice(at, at + limit))
    const count = (gone: Deleted, limit: number) => {
      files += gone.files
      at += limit
      return at >= paths.length ? 'done' : 'more'
    }
    await inSlices({ db, clock, pace: 'background' }, work, count, signal)
    return files
  }

  async function cleanBelow(target: NodePath, sweep: Sweep, signal: AbortSignal): Promise<number> {
    let files = 0
    for (let after: NodePath | undefined; ; ) {
      signal.throwIfAborted()
      const some = await walkBelow(db.read, sweep.repository.id, target, after, LOOK_ROWS)
      const due = some.filter((node) => !node.folder && sweep.isDue(node)).map(({ path }) => path)
      files += await sweepPaths(sweep, due, signal)
      if (some.length < LOOK_ROWS) return files
      after = some.at(-1)!.path
    }
  }

  /** All but the newest `keep` files right in a folder: one look finds the oldest that stays, another what goes. */
  async function thinOut(folder: NodePath, keep: number, sweep: Omit<Sweep, 'isDue'>, signal: AbortSignal) {
    let newest: AgedFile[] = []
    let total = 0
    for await (const some of filesIn(sweep.repository.id, folder, signal)) {
      total += some.length
      newest = [...newest, ...some].sort(newestFirst).slice(0, keep)
    }
    if (total <= keep) return 0
    const oldest = newest.at(-1)!
    const isDue: Sweep['isDue'] = (file) => newestFirst(file, oldest) > 0
    let files = 0
    for await (const some of filesIn(sweep.repository.id, folder, signal)) {
      const due = some.filter(isDue).map(({ path }) => path)
      files += await sweepPaths({ ...sweep, isDue }, due, signal)
    }
    return files
  }
  async function* filesIn(repoId: number, folder: NodePath, signal: AbortSignal): AsyncGenerator<AgedFile[]> {
    for (let after: NodePath | undefined; ; ) {
      signal.throwIfAborted()
      const some = await walkFilesIn(db.read, repoId, folder, after, LOOK_ROWS)
      yield some
      if (some.length < LOOK_ROWS) return
      after = some.at(-1)!.path
    }
  }
  async function thinOutBelow(target: NodePath, keep: number, sweep: Omit<Sweep, 'isDue'>, signal: AbortSignal) {
    let files = await thinOut(target, keep, sweep, signal)
    for (let after: NodePath | undefined; ; ) {
      signal.throwIfAborted()
      const some = await walkBelow(db.read, sweep.repository.id, target, after, LOOK_ROWS)
      for (const { path, folder } of some) if (folder) files += await thinOut(path, keep, sweep, signal)
      if (some.length < LOOK_ROWS) return files
      after = some.at(-1)!.path
    }
  }

  async function follow(strategy: CleanupStrategy, repository: Repository, signal: AbortSignal): Promise<number> {
    const at = clock.now()
    const sweep = { repository, by: SYSTEM, at }
    let files = 0
    for (const target of strategy.targets) {
      if (strategy.keep === 'newest') {
        files += await thinOutBelow(target, strategy.files, sweep, signal)
        continue
      }
      const before = keptSince(strategy, at, parseTime)
      files +=
        target === ROOT
          ? (await cleanBefore({ repository, before, by: SYSTEM, pace: 'background' }, signal)).files
          : await cleanBelow(target, { ...sweep, isDue: ({ modifiedAt }) => modifiedAt < before }, signal)
    }
    return files
  }

  return {
    clean: (repository, before, by, signal) => cleanBefore({ repository, before, by }, signal),
    async runStrategies(signal) {
      let files = 0
      for (const repository of await listWithCleanup(db.read)) {
        signal.throwIfAborted()
        try {
          const settings = fieldsOf(repository.configuration).object('settings')
          const strategy = planCleanup(settings, repository.type)
          if (strategy !== undefined) files += await follow(strategy, repository, signal)
        } catch (error) {
          if (signal.aborted) throw error
          onError(error, { project: repository.project, repository: repository.name })
        }
      }
      return files
    },
  }
}

/** Names decide between equals, so that every look finds the same order. */
const newestFirst = (a: Pick<AgedFile, 'path' | 'modifiedAt'>, b: Pick<AgedFile, 'path' | 'modifiedAt'>): number =>
  b.modifiedAt - a.modifiedAt || comparePaths(a.path, b.path)
