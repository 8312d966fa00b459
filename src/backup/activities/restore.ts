import { AppError } from '../../core/errors.ts'
import { storageTrouble } from '../../core/storage-trouble.ts'
import { repositoriesNamed } from '../../metadata/repositories/named-repositories.ts'
import { usedBytesOf } from '../../metadata/repositories/usage.ts'
import type { BackupReader } from '../layouts/layout.ts'
import { createRecordDecoder } from '../records/decode-records.ts'
import { COMMON_FILES, repositoryFile, TOMBSTONES } from '../records/record-files.ts'
import { createContents, createRehearsedContents } from '../restore/contents.ts'
import { rehearseNodes, type SeenContents } from '../restore/rehearse-nodes.ts'
import { rehearseVersions } from '../restore/rehearse-versions.ts'
import { createCommonData } from '../restore/restore-common.ts'
import type { RestoreContext, RestoreDeps } from '../restore/restore-deps.ts'
import { restoreLeftNodes, restoreNodes } from '../restore/restore-nodes.ts'
import { createRestoreNotes, type RestoreNotes } from '../restore/restore-notes.ts'
import { planRestore, type RepositoryToRestore, type RestorePlan } from '../restore/restore-plan.ts'
import { type OpenRepository, restoreRepositories } from '../restore/restore-repositories.ts'
import { createTombstones, type OtherKinds } from '../restore/restore-tombstones.ts'
import { restoreVersions } from '../restore/restore-versions.ts'
import type { Activity, ActivityOutcome, ActivityRun } from './activity.ts'

/**
 * One run of DATA_RESTORE (backup.md 8). Every batch is one transaction: cut at any moment it leaves a consistent server, and run
 * again it goes on with what is missing. What was staged and not published is swept at the next start, what was published and not
 * claimed is collected.
 */
export function createRestoreActivity(deps: RestoreDeps): Activity {
  return {
    async run(run, signal) {
      try {
        const takes = run.task.setting.legacy ? 'legacy' : 'whole'
        await using reader = await deps.layouts.openReader(run.place, takes, signal)
        return await restore(deps, run, reader, signal)
      } catch (error) {
        throw storageTrouble(error) ?? error
      }
    },
    async sweep() {},
  }
}

async function restore(
  deps: RestoreDeps,
  activity: ActivityRun,
  reader: BackupReader,
  signal: AbortSignal,
): Promise<ActivityOutcome> {
  const run = createRestoreNotes(activity)
  const { setting } = run.task
  const plan = planRestore(reader.files, run.task)
  refuseNoBackup(run, reader, plan)
  for (const place of plan.misnamed) run.fail(place, MISNAMED)
  for (const warning of [...plan.warnings, ...backupWarnings(run, reader)]) run.warn(warning)
  await checkRecords(run, reader, plan, signal)

  const space = await roomFor(deps, run, reader, plan)
  const [decoder, pace] = [createRecordDecoder(deps.parseTime), deps.paceOf(setting.rateLimit)]
  const context: RestoreContext = { deps, run, reader, decoder, space, pace }
  const common = createCommonData(context)
  run.progress.set({ phase: 'common data' })
  await common.restore('beforeRepositories', signal)
  run.progress.set({ phase: 'repositories' })
  const tombstones = createTombstones(context, plan)
  let deleted = await tombstones.endRepositories(signal)
  const open = await restoreRepositories(context, plan, signal)
  run.progress.set({ phase: 'common data' })
  await common.restore('afterRepositories', signal)

  run.progress.set({ phase: 'contents', ...totalsOf(reader, plan) })
  const restoring = setting.dryRun ? rehearsing(context, signal) : restoringContents(context, signal)
  for (const one of open) {
    try {
      const gone = await tombstones.endOtherKinds(one, signal)
      deleted += gone.deleted
      await restoring(one, gone)
    } catch (error) {
      // Somebody deleted it meanwhile: the others are restored all the same.
      const isGone = error instanceof AppError && error.code === 'REPOSITORY_NOT_FOUND'
      if (signal.aborted || !isGone) throw error
      run.fail(`${one.place.project}/${one.place.repo}`, error)
    }
  }
  run.progress.set({ phase: 'deletions' })
  deleted += await tombstones.endContents(signal)
  await warnOfQuotas(deps, run, open)
  signal.throwIfAborted()
  return outcomeOf(run, deleted)
}

function restoringContents(context: RestoreContext, signal: AbortSignal) {
  const contents = createContents(context)
  return async ({ place, repository }: OpenRepository): Promise<void> => {
    if (repository === undefined) return
    const nodes = await restoreNodes(context, contents, place, repository, signal)
    const rules = context.deps.rulesOf(repository.type)
    if (rules !== undefined) await restoreVersions(context, contents, place, repository, rules, nodes, signal)
    else await warnOfPackages(context, place, signal)
    await restoreLeftNodes(context, contents, place, repository, [...nodes.deferred.values()], signal)
  }
}

function rehearsing(context: RestoreContext, signal: AbortSignal) {
  const contents = createRehearsedContents(context)
  const seen: SeenContents = { all: new Set(), broken: new Map() }
  return async ({ place, repository, record }: OpenRepository, gone: OtherKinds): Promise<void> => {
    await rehearseNodes(context, contents, place, repository, seen, gone.paths, signal)
    const rules = context.deps.rulesOf(record.type)
    if (rules !== undefined) await rehearseVersions(context, place, { repository, record }, rules, signal)
    else await warnOfPackages(context, place, signal)
  }
}

async function warnOfPackages(
  { run, reader }: RestoreContext,
  { project, repo, files }: RepositoryToRestore,
  signal: AbortSignal,
): Promise<void> {
  if (!files.has('version')) return
  for await (const _ of reader.records(repositoryFile(project, repo, 'version'), signal)) {
    run.warn(`[${project}/${repo}]: packages of its type are not kept here, their files are`)
    return
  }
}

/** Without a manifest a folder may be anything. */
function refuseNoBackup({ place }: ActivityRun, { manifest, files }: BackupReader, plan: RestorePlan): void {
  if (manifest !== undefined || plan.holdsRepositories) return
  if (files.some((path) => Object.values<string>(COMMON_FILES).includes(path))) return
  const why = 'it has no record files, neither of users nor of repositories; name the folder of the run itself'
  throw new AppError('ARTIFACT_BROKEN', `[${place}] is no backup: ${why}`, {})
}
const MISNAMED = new AppError(
  'PARAMETER_INVALID',
  'it is left out: no project or repository here may have such a name (2 to 100 and 2 to 64 letters, digits, - and _, and dots in repositories)',
)

/** What somebody should know of the backup itself. */
function backupWarnings({ task }: ActivityRun, { layout, manifest }: BackupReader): string[] {
  const isZip = layout === 'ZIP'
  const disagrees = layout !== 'REPOSITORY' && task.content.compression !== isZip
  return [
    ...(disagrees
      ? [`content.compression is ${task.content.compression}, the backup is ${isZip ? 'a' : 'no'} zip`]
      : []),
    ...(manifest === undefined ? ['the backup has no manifest: only contents can be checked'] : []),
    ...(manifest?.result === 'PARTIAL' ? [`${manifest.errors} files were missing when the backup was made`] : []),
  ]
}

/** Every record file that will be used is whole, or nothing is restored. */
async function checkRecords(run: RestoreNotes, reader: BackupReader, plan: RestorePlan, signal: AbortSignal) {
  run.progress.set({ phase: 'checking' })
  const common = run.task.content.commonData ? Object.values<string>(COMMON_FILES) : []
  const own = plan.repositories.flatMap(({ project, repo, files }) =>
    [...files].map((kind) => repositoryFile(project, repo, kind)),
  )
  const used = new Set([...common, ...own, TOMBSTONES])
  for (const path of reader.files) {
    if (!used.has(path)) continue
    for await (const _ of reader.records(path, signal)) break
  }
}

/** The contents that are not here need room where contents are stored. How many are here nobody knows before; their sum is a guess. */
async function roomFor(deps: RestoreDeps, run: RestoreNotes, { manifest }: BackupReader, plan: RestorePlan) {
  const { contentsPath, spaceGuards } = deps
  if (contentsPath === undefined || run.task.setting.dryRun) return ENDLESS
  const space = spaceGuards(contentsPath, run.task.setting)
  const isWhole = manifest !== undefined && manifest.repositories.length === plan.repositories.length
  await space.begin(isWhole ? Math.max(0, manifest.blobBytes - (await usedAlready(deps, plan))) : 0)
  return space
}
const ENDLESS = { begin: async () => {}, wrote: async () => {} }

async function usedAlready({ db }: RestoreDeps, { repositories }: RestorePlan): Promise<number> {
  const places = repositories.map(({ target, repo }) => ({ project: target, name: repo }))
  const ids = (await repositoriesNamed(db.read, places)).map(({ id }) => id)
  return [...(await usedBytesOf(db.read, ids)).values()].reduce((sum, bytes) => sum + bytes, 0)
}

function totalsOf({ manifest }: BackupReader, { repositories }: RestorePlan) {
  if (manifest === undefined) return {}
  const paths = new Set(repositories.map(({ project, repo }) => repositoryFile(project, repo, 'node')))
  const nodes = manifest.files.filter(({ path }) => paths.has(path))
  return {
    totalNodes: nodes.reduce((sum, { records }) => sum + records, 0),
    // Of some repositories nobody knows it.
    totalBytes: manifest.repositories.length === repositories.length ? manifest.blobBytes : null,
  }
}

async function warnOfQuotas({ db }: RestoreDeps, run: RestoreNotes, open: readonly OpenRepository[]): Promise<void> {
  const limited = open.flatMap(({ repository }) => (repository?.quota == null ? [] : [repository]))
  const used = await usedBytesOf(
    db.read,
    limited.map(({ id }) => id),
  )
  for (const { id, project, name, quota } of limited) {
    const bytes = used.get(id) ?? 0
    if (bytes > quota!) run.warn(`[${project}/${name}] is above its quota: ${bytes} of ${quota} bytes are used`)
  }
}

function outcomeOf({ progress, errors, warnings, task }: RestoreNotes, deleted: number): ActivityOutcome {
  const { projects, repos, nodes, versions, bytes, success, failed, skipped } = progress.now
  const first = errors[0]
  const failures =
    first === undefined ? [] : [`${failed} could not be restored, the first: ${first.path}: ${first.reason}`]
  const reasons = [...failures, ...warnings.slice(0, MOST_SHOWN)]
  return {
    result: failed > 0 ? 'PARTIAL' : 'SUCCESS',
    errorReason: reasons.length === 0 ? null : reasons.join('; '),
    artifactLocation: null,
    report: {
      dryRun: task.setting.dryRun,
      counts: { projects, repos, nodes, versions, bytes, success, failed, skipped, deleted },
      errors,
      warnings,
    },
  }
}
/** Of warnings, in the reason; all are in the report. */
const MOST_SHOWN = 5
