import { AppError } from '../../core/errors.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedRepository } from '../records/decoded.ts'
import { repositoryFile } from '../records/record-files.ts'
import { decodedRecords } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RepositoryToRestore, RestorePlan } from './restore-plan.ts'
import { type Restored, restoreProject, restoreRepository } from './restore-repository.ts'

/** A repository whose contents can come. */
export interface OpenRepository {
  readonly place: RepositoryToRestore
  /** Undefined in a rehearsal, where it is not here. */
  readonly repository: Repository | undefined
  readonly record: DecodedRepository
}

/**
 * Restores projects and repositories without what they hold; VIRTUAL ones last, when their members are here. What cannot be restored is
 * noted, and its contents are left alone.
 */
export async function restoreRepositories(
  context: RestoreContext,
  { repositories }: RestorePlan,
  signal: AbortSignal,
): Promise<OpenRepository[]> {
  const { run } = context
  const projects = new Map<string, Restored | undefined>()
  const read: { place: RepositoryToRestore; record: DecodedRepository }[] = []
  for (const place of repositories) {
    if (!projects.has(place.target)) projects.set(place.target, await projectOf(context, place, signal))
    if (projects.get(place.target) === undefined) continue
    const record = await recordOf(context, place, signal)
    if (record !== undefined) read.push({ place, record })
  }
  const open: OpenRepository[] = []
  const isVirtual = ({ record }: { readonly record: DecodedRepository }) => Number(record.category === 'VIRTUAL')
  for (const { place, record } of read.sort((a, b) => isVirtual(a) - isVirtual(b))) {
    signal.throwIfAborted()
    try {
      const { repository, as } = await restoreRepository(context, record, place.target)
      open.push({ place, repository, record })
      run.progress.add({ repos: 1, ...countOf(as) })
    } catch (error) {
      if (signal.aborted) throw error
      run.fail(`${place.project}/${place.repo}`, error)
    }
  }
  return open
}

/** @returns undefined when it cannot be restored. */
async function projectOf(
  context: RestoreContext,
  { project, repo, target, files }: RepositoryToRestore,
  signal: AbortSignal,
): Promise<Restored | undefined> {
  const { run, decoder } = context
  const path = repositoryFile(project, repo, 'project')
  try {
    if (!files.has('project')) throw new AppError('ARTIFACT_BROKEN', `the backup has no ${path}`)
    for await (const record of decodedRecords(context, path, decoder.project, signal)) {
      if (record.name !== project) throw new AppError('ARTIFACT_BROKEN', `${path} is about another project`)
      const as = await restoreProject(context, record, target)
      run.progress.add({ projects: 1, ...countOf(as) })
      return as
    }
    throw new AppError('ARTIFACT_BROKEN', `${path} holds no project`)
  } catch (error) {
    if (signal.aborted) throw error
    run.fail(project, error)
    return undefined
  }
}

async function recordOf(
  context: RestoreContext,
  { project, repo, files }: RepositoryToRestore,
  signal: AbortSignal,
): Promise<DecodedRepository | undefined> {
  const path = repositoryFile(project, repo, 'repository')
  let why = files.has('repository') ? `${path} holds no repository` : `the backup has no ${path}`
  if (files.has('repository')) {
    for await (const record of decodedRecords(context, path, context.decoder.repository, signal)) {
      if (record.project === project && record.name === repo) return record
      why = `${path} is about another repository`
    }
  }
  context.run.fail(`${project}/${repo}`, new AppError('ARTIFACT_BROKEN', why))
  return undefined
}

const countOf = (as: Restored) => (as === 'kept' ? { skipped: 1 } : { success: 1 })
