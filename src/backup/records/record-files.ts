/** Where records lie, below a run. */
export const REPOSITORY_FILES = {
  project: 'project.json',
  repository: 'repository.json',
  package: 'package.json',
  version: 'package-version.json',
  node: 'node.json',
} as const
export const COMMON_FILES = {
  user: 'user.json',
  role: 'role.json',
  temporaryToken: 'temporary_token.json',
  permission: 'permission.json',
  account: 'account.json',
  cluster: 'cluster.json',
  task: 'replica_task.json',
} as const
export const TOMBSTONES = 'tombstone.json'
export const ERRORS = 'errors.json'

export const repositoryFile = (project: string, repo: string, kind: keyof typeof REPOSITORY_FILES): string =>
  `${project}/${repo}/${REPOSITORY_FILES[kind]}`
