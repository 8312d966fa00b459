import { ACTIONS } from '../../auth/grants.ts'
import { isPasswordHash } from '../../auth/passwords.ts'
import { isUserId } from '../../auth/user-rules.ts'
import { invalid } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import type { AccessRequest, CopiedProject, CopiedUser } from '../../remotes/cluster/access-messages.ts'

const KNOWN: ReadonlySet<string> = new Set(ACTIONS)
const REPOSITORY_TYPES: ReadonlySet<string> = new Set(['REPO', 'NODE'])
const SERVER_TYPES: ReadonlySet<string> = new Set(['SYSTEM', 'REPLICATION'])

/** What the shape of a message does not say. No refusal tells a value. @throws AppError PARAMETER_INVALID. */
export function checkAccessRequest({ copiedUsers, copiedProjects }: AccessRequest): void {
  copiedUsers.forEach(checkUser)
  copiedProjects.forEach(checkProject)
}

function checkUser({ userId, passwordHash }: CopiedUser, n: number): void {
  if (!isUserId(userId)) throw invalid(`copiedUsers[${n}].userId`, 'it is no user id')
  if (!isPasswordHash(passwordHash))
    throw invalid(`copiedUsers[${n}].passwordHash`, 'it is no hash that can be checked here')
}

function checkProject({ project, repos, roles, permissions }: CopiedProject, n: number): void {
  const at = `copiedProjects[${n}]`
  const known = new Set(repos)
  const isKnown = (repo: string | null) => repo === null || known.has(repo)
  if (project === '' && repos.length + roles.length > 0)
    throw invalid(at, 'what is about the server names no repository')
  if (!roles.every(({ repo }) => isKnown(repo))) throw invalid(`${at}.roles`, 'a repository is not among repos')
  for (const { home, resourceType, repos: named, include, exclude, actions } of permissions) {
    if (SERVER_TYPES.has(resourceType) !== (project === '')) throw invalid(`${at}.permissions`, 'of another type')
    if (!isKnown(home) || !named.every(isKnown)) throw invalid(`${at}.permissions`, 'a repository is not among repos')
    if (named.length > 0 !== REPOSITORY_TYPES.has(resourceType)) throw invalid(`${at}.permissions`, 'repositories')
    if (actions.length === 0 || !actions.every((action) => KNOWN.has(action))) {
      throw invalid(`${at}.permissions`, 'actions that are not known here')
    }
    for (const path of [...include, ...exclude]) {
      if (normalisePath(path) !== path) throw invalid(`${at}.permissions`, 'a path is not normal')
    }
  }
}
