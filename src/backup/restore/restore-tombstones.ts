import { deleteFiles, lockLive } from '../../artifacts/nodes/node-writer.ts'
import { settle, stampOver } from '../../artifacts/nodes/settle.ts'
import { removeEmptyFolders } from '../../artifacts/trees/tree-removal.ts'
import { AppError } from '../../core/errors.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { findPackage } from '../../metadata/packages/packages.ts'
import { findVersion } from '../../metadata/packages/versions.ts'
import { findRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedTombstone } from '../records/decoded.ts'
import { TOMBSTONES } from '../records/record-files.ts'
import { decodedRecords, inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RestorePlan } from './restore-plan.ts'

/** One transaction. */
const FILES_PER_BATCH = 500

/**
 * Deletes what the backup says was deleted, with OVERWRITE only; what was made or changed after that stays. Ends of whole
 * repositories come before repositories are restored, since one of the same name may have begun anew; all others come last.
 * @returns how many were deleted, or would be.
 */
export async function restoreTombstones(
  context: RestoreContext,
  { selects }: RestorePlan,
  phase: 'repositories' | 'contents',
  signal: AbortSignal,
): Promise<number> {
  const { run, reader, decoder } = context
  if (run.onConflict === 'SKIP' || !reader.files.includes(TOMBSTONES)) return 0
  let deleted = 0
  const records = decodedRecords(
    { ...context, run: phase === 'contents' ? run : quiet(context) },
    TOMBSTONES,
    decoder.tombstone,
    signal,
  )
  const chosen = only(records, ({ kind, project, repo }) => {
    return (kind === 'REPOSITORY') === (phase === 'repositories') && selects(project, repo)
  })
  for await (const batch of inBatches(chosen, { items: FILES_PER_BATCH, weights: () => [], limits: [], keyOf })) {
    const places = Map.groupBy(batch, ({ project, repo }) => `${project}/${repo}`)
    for (const some of places.values()) deleted += await apply(context, some, signal)
  }
  return deleted
}

/** Lines that cannot be read are told once, in the second phase. */
const quiet = ({ run }: RestoreContext): RestoreContext['run'] => ({ ...run, fail: () => {} })

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
  if (kind === 'PACKAGE') {
    const found = await findPackage(db.read, repository.id, key)
    if (found === undefined || found.createdAt > deletedAt) return false
    if (!isDry) await deletion.deletePackage(repository, key, deletedBy)
    return true
  }
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
      const gone = [...rows.values()].filter((row) => !row.folder && isOlder(row, ended))
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
      const gone = [...rows.values()].filter((row) => row.folder && isOlder(row, ended))
      if (gone.length === 0 || run.task.setting.dryRun) return 0
      const [{ path }] = [gone[0]!]
      return removeEmptyFolders(trx, repository.id, gone, ended.get(path)!.deletedBy, clock.now())
    }),
  )
}

const isOlder = ({ path, modifiedAt }: NodeRecord, ended: Ended): boolean => modifiedAt <= ended.get(path)!.deletedAt
