import { invalid } from '../../core/errors.ts'
import type { RepositorySelector } from '../tasks/backup-task.ts'
import { createPatternJudge, nameMatcher } from './name-pattern.ts'

/** Which repositories a backup takes, or a restore puts back: the union of its entries. */
export interface Selection {
  /** Whether a project is named by some entry, whichever of its repositories are. */
  selectsProject(project: string): boolean
  selects(project: string, repo: string): boolean
}

/** Most entries of one task. */
const MAX_SELECTORS = 1_000

/**
 * An empty text or list counts as absent, as for the reference.
 * @throws AppError PARAMETER_INVALID naming the entry: it names no project, or holds a pattern that is none.
 */
export function checkSelectors(projects: readonly RepositorySelector[], field = 'projects'): void {
  if (projects.length > MAX_SELECTORS) throw invalid(field, `more than ${MAX_SELECTORS} entries`)
  const judge = createPatternJudge()
  for (const [index, selector] of projects.entries()) {
    const at = `${field}[${index}]`
    const { projectId, projectRegex, excludeProjects, repoRegex } = selector
    if (!isGiven(projectId) && !isGiven(projectRegex) && !isGiven(excludeProjects)) {
      throw invalid(at, 'it needs one of projectId, projectRegex and excludeProjects')
    }
    if (isGiven(projectRegex)) judge.check(`${at}.projectRegex`, projectRegex)
    if (isGiven(repoRegex)) judge.check(`${at}.repoRegex`, repoRegex)
  }
}

/** @param projects that `checkSelectors` has seen; null: none. */
export function createSelection(projects: readonly RepositorySelector[] | null): Selection {
  const entries = (projects ?? []).map((selector) => ({
    project: projectRule(selector),
    repo: namesRule(selector.repoList, selector.repoRegex, selector.excludeRepos),
  }))
  return {
    selectsProject: (project) => entries.some((entry) => entry.project(project)),
    selects: (project, repo) => entries.some((entry) => entry.project(project) && entry.repo(repo)),
  }
}

type Rule = (name: string) => boolean

function projectRule({ projectId, projectRegex, excludeProjects }: RepositorySelector): Rule {
  if (isGiven(projectId)) return (name) => name === projectId
  if (!isGiven(projectRegex) && !isGiven(excludeProjects)) return () => false
  return namesRule(null, projectRegex, excludeProjects)
}

function namesRule(names: readonly string[] | null, pattern: string | null, excluded: readonly string[] | null): Rule {
  if (isGiven(names)) {
    const wanted = new Set(names)
    return (name) => wanted.has(name)
  }
  if (isGiven(pattern)) return nameMatcher(pattern)
  const unwanted = new Set(excluded ?? [])
  return (name) => !unwanted.has(name)
}

const isGiven = <T extends string | readonly string[]>(value: T | null): value is T =>
  value !== null && value.length > 0
