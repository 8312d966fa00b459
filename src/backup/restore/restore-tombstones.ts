import { deleteFiles, lockLive } from '../../artifacts/nodes/node-writer.ts'
import { settle, stampOver } from '../../artifacts/nodes/settle.ts'
import { removeEmptyFolders } from '../../artifacts/trees/tree-removal.ts'
import { AppError } from '../../core/errors.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { findVersion } from '../../metadata/packages/versions.ts'
import { findRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedTombstone } from '../records/decoded.ts'
import { TOMBSTONES } from '../records/record-files.ts'
import { pathsOfOtherKinds } from './other-kinds.ts'
import { decodedRecords, inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RestorePlan } from './restore-plan.ts'
import type { OpenRepository } from './restore-repositories.ts'

/** One transaction. */
const FILES_PER_BATCH = 500

/**
 * Deletes what the backup says was deleted, with OVERWRITE only; what was made or changed after that stays. All tell how many were
 * deleted, or would be.
 */
export interface Tombstones {
  /** Whole repositories: before repositories are restored, since one of the same name may have begun anew. */
  endRepositories(signal: AbortSignal): Promise<number>
  /** What stands where the backup has a node of the other kind, a file or a folder: before the nodes of its repository are restored. */
  endOtherKinds(open: OpenRepository, signal: AbortSignal): Promise<OtherKinds>
  /** All else: last. A package ends with its last version, and one that has others here does not end. */
  endContents(signal: AbortSignal): Promise<number>
}
export interface OtherKinds {
  readonly deleted: number
  readonly paths: ReadonlySet<NodePath>
}

export function createTombstones(context: RestoreContext, { selects }: RestorePlan): Tombstones {
  const { run, reader, decoder } = context
  const isLeftOut = run.onConflict === 'SKIP' || !reader.files.includes(TOMBSTONES)
  /** Repositories of which nodes were deleted. */
  const withNodes = new Set<string>()

  async function end(
    told: RestoreContext['run'],
    wanted: (tombstone: DecodedTombstone) => boolean,
    signal: AbortSignal,
  ): Promise<number> {
    if (isLeftOut) return 0
    let deleted = 0
    const records = decodedRecords({ ...context, run: told }, TOMBSTONES, decoder.tombstone, signal)
    const chosen = only(records, (one) => selects(one.project, one.repo) && wanted(one))
    for await (const batch of inBatches(chosen, { items: FILES_PER_BATCH, weights: () => [], limits: [], keyOf })) {
      for (const some of Map.groupBy(batch, placeOf).values()) deleted += await apply(context, some, signal)
    }
    return deleted
  }

  return {
    endRepositories(signal) {
      const isOne = (one: DecodedTombstone) => {
        if (one.kind === 'NODE') withNodes.add(placeOf(one))
        return one.kind === 'REPOSITORY'
      }
      return end(quiet(context), isOne, signal)
    },
    async endOtherKinds({ place, repository }, signal) {
      const paths = new Set<NodePath>()
      if (repository === undefined || !withNodes.has(placeOf(place))) return { deleted: 0, paths }
      const taken = await pathsOfOtherKinds({ ...context, run: quiet(context) }, place, repository, signal)
      if (taken.size === 0) return { deleted: 0, paths }
      const isOne = (one: DecodedTombstone) => {
        if (one.path === undefined || placeOf(one) !== placeOf(place)) return false
        const isInTheWay = [one.path, ...ancestorsOf(one.path)].some((path) => taken.has(path))
        if (isInTheWay) paths.add(one.path)
        return isInTheWay
      }
      const deleted = await end(quiet(context), isOne, signal)
      // A rehearsal finds them once more in the end.
      return { deleted: run.task.setting.dryRun ? 0 : deleted, paths }
    },
    endContents: (signal) => end(run, ({ kind }) => kind === 'NODE' || kind === 'VERSION', signal),
  }
}

/** Lines that cannot be read are told once, in the last phase. */
const quiet = ({ run }: RestoreContext): RestoreContext['run'] => ({ ...run, fail: () => {} })

const placeOf = ({ project, repo }: { readonly project: string; readonly repo: string }): string => `${project}/${repo}`

const keyOf = ({ kind, project, repo, path, packageKey, version }: DecodedTombstone): string =>
  [kind, project, repo, path, packageKey, version].join('\u0000')

async function* only<T>(items: AsyncIterable<T>, wanted: (item: T) => boolean): AsyncGenerator<T> {
  for await (const item of items) if (wanted(item)) yield item
}

/** @param tombstones of one repository. */
async function apply(
  context: RestoreContext,
  tombstones: readonly DecodedTombstone[],
  signal: AbortSignal,
): Promise<number> {
  const { deps, run } = context
  const { project, repo } = tombstones[0]!
  const target = run.task.setting.targetProjectId ?? project
  const repository = await findRepository(deps.db.read, target, repo)
  if (repository === undefined) return 0
  const nodes = new Map(
    tombstones.flatMap((one): [NodePath, DecodedTombstone][] => (one.kind === 'NODE' ? [[one.path!, one]] : [])),
  )
  let deleted = nodes.size === 0 ? 0 : await deleteFilesAt(context, repository, nodes)
  if (nodes.size > 0) deleted += await deleteFoldersAt(context, repository, nodes)
  for (const tombstone of tombstones) {
    signal.throwIfAborted()
    if (tombstone.kind === 'NODE') continue
    try {
      if (await deleteOne(context, repository, tombstone)) deleted++
    } catch (error) {
      if (signal.aborted || !(error instanceof AppError)) throw error
      run.fail(`${target}/${repo}: deletion of ${tombstone.packageKey ?? 'the repository'}`, error)
    }
  }
  run.progress.add({ success: deleted })
  return deleted
}

async function deleteOne(
  { deps: { db, repositories, deletion }, run }: RestoreContext,
  repository: Repository,
  { kind, packageKey, version, deletedBy, deletedAt }: DecodedTombstone,
): Promise<boolean> {
  const isDry = run.task.setting.dryRun
  if (kind === 'REPOSITORY') {
    if (repository.createdAt > deletedAt) return false
    if (!isDry) await repositories.delete(repository.project, repository.name, 'with-content', deletedBy)
    return true
  }
  const key = packageKey as PackageKey
  const found = await findVersion(db.read, repository.id, key, version!)
  if (found === undefined || found.modifiedAt > deletedAt) return false
  if (!isDry) await deletion.deleteVersion(repository, key, version!, deletedBy)
  return true
}

type Ended = ReadonlyMap<NodePath, DecodedTombstone>

async function deleteFilesAt(
  { deps: { db, clock, hlc }, run }: RestoreContext,
  repository: Repository,
  ended: Ended,
): Promise<number> {
  return settle(() =>
    db.transact(async (trx) => {
      const at = clock.now()
      const rows = await lockLive(trx, repository.id, [...ended.keys()])
      const gone = [...rows.values()].filter((row) => !row.folder && isEnded(row, ended))
      if (gone.length === 0 || run.task.setting.dryRun) return gone.length
      const stamp = { at, hlc: stampOver(hlc, gone), origin: 0, viaLink: null }
      for (const [by, files] of Map.groupBy(gone, ({ path }) => ended.get(path)!.deletedBy)) {
        await deleteFiles(trx, repository, files, { by, ...stamp })
      }
      return gone.length
    }),
  )
}

/** Those that are empty: in a transaction of its own, which locks folders as their writers do not. */
async function deleteFoldersAt(
  { deps: { db, clock }, run }: RestoreContext,
  repository: Repository,
  ended: Ended,
): Promise<number> {
  return settle(() =>
    db.transact(async (trx) => {
      const rows = await lockTreeRows(trx, repository.id, [...ended.keys()])
      const gone = [...rows.values()].filter((row) => row.folder && isEnded(row, ended))
      if (gone.length === 0 || run.task.setting.dryRun) return 0
      const [{ path }] = [gone[0]!]
      return removeEmptyFolders(trx, repository.id, gone, ended.get(path)!.deletedBy, clock.now())
    }),
  )
}

function isEnded({ path, folder, modifiedAt }: NodeRecord, ended: Ended): boolean {
  const tombstone = ended.get(path)!
  return (tombstone.folder ?? folder) === folder && modifiedAt <= tombstone.deletedAt
}
