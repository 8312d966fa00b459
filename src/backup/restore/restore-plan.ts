import { invalid } from '../../core/errors.ts'
import { isProjectName, isRepositoryName } from '../../core/names.ts'
import { isObjectName, shown } from '../../storage/object-name.ts'
import { REPOSITORY_FILES } from '../records/record-files.ts'
import { createSelection } from '../records/selection.ts'
import type { BackupTask } from '../tasks/backup-task.ts'

/** A repository of the backup, and where it goes. */
export interface RepositoryToRestore {
  /** Names in the backup. */
  readonly project: string
  readonly repo: string
  /** Name of the project here. */
  readonly target: string
  /** Record files that the backup has of it. */
  readonly files: ReadonlySet<keyof typeof REPOSITORY_FILES>
}
export interface RestorePlan {
  readonly repositories: readonly RepositoryToRestore[]
  /** Of what the backup names beside these repositories: what was deleted. With a target, only what is of the project that goes there. */
  readonly selects: (project: string, repo: string) => boolean
  /** `project/repository` of the backup that cannot be one here, for its name. */
  readonly misnamed: readonly string[]
  /** Whether the backup has any, chosen or not. */
  readonly holdsRepositories: boolean
  /** What was asked for and is not there. */
  readonly warnings: readonly string[]
}

type Kind = keyof typeof REPOSITORY_FILES
const KINDS = new Map<string, Kind>(Object.entries(REPOSITORY_FILES).map(([kind, file]) => [file, kind as Kind]))

/**
 * Which repositories of a backup a task restores. What has a name that is none is told, and never looked at. Pure.
 * @param files paths of the record files of the backup.
 * @throws AppError PARAMETER_INVALID: several projects cannot go into one.
 */
export function planRestore(
  files: readonly string[],
  { content, setting }: Pick<BackupTask, 'content' | 'setting'>,
): RestorePlan {
  const found = new Map<string, { project: string; repo: string; files: Set<Kind> }>()
  const selection = createSelection(content.projects)
  const misnamed = new Set<string>()
  for (const path of files) {
    const [project = '', repo = '', file = '', ...below] = path.split('/')
    const place = `${project}/${repo}`
    const kind = KINDS.get(file)
    if (kind === undefined || below.length > 0) {
      if (!isObjectName(path)) misnamed.add(shown(path))
    } else if (!isProjectName(project) || !isRepositoryName(repo)) {
      if (selection.selects(project, repo)) misnamed.add(shown(place))
    } else {
      if (!found.has(place)) found.set(place, { project, repo, files: new Set() })
      found.get(place)!.files.add(kind)
    }
  }
  const there = [...found.values()].sort((a, b) => compare(a.project, b.project) || compare(a.repo, b.repo))
  const chosen = there.filter(({ project, repo }) => selection.selects(project, repo))
  const projects = new Set(chosen.map(({ project }) => project))
  const { targetProjectId } = setting
  if (targetProjectId !== null && projects.size > 1) {
    throw invalid('backupSetting.targetProjectId', `the task selects ${projects.size} projects of the backup, not one`)
  }
  return {
    repositories: chosen.map((one) => ({ ...one, target: targetProjectId ?? one.project })),
    selects: (project, repo) => (targetProjectId === null || projects.has(project)) && selection.selects(project, repo),
    misnamed: [...misnamed],
    holdsRepositories: found.size + misnamed.size > 0,
    warnings: [...absent(there, content), ...(chosen.length === 0 ? nothing(content) : [])],
  }
}

function absent(
  there: readonly { readonly project: string; readonly repo: string }[],
  { projects }: BackupTask['content'],
): string[] {
  const names = new Set(there.map(({ project }) => project))
  return (projects ?? []).flatMap(({ projectId, repoList }) => {
    if (projectId === null || projectId === '') return []
    if (!names.has(projectId)) return [`project [${projectId}] is not in the backup`]
    const repos = new Set(there.flatMap(({ project, repo }) => (project === projectId ? repo : [])))
    const missing = (repoList ?? []).filter((repo) => !repos.has(repo))
    return missing.map((repo) => `repository [${projectId}/${repo}] is not in the backup`)
  })
}
const nothing = ({ projects }: BackupTask['content']): string[] =>
  (projects ?? []).length === 0 ? [] : ['the task selects no repository of the backup']

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
