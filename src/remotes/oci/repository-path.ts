import { isImageName } from '../../core/content-name.ts'
import { invalid } from '../../core/errors.ts'

/** `/v2/team/nginx/manifests/1.1`. @throws AppError PARAMETER_INVALID for what is no name of a repository. */
export function repositoryPath(repository: string, rest: string): string {
  if (!isImageName(repository)) throw invalid('repository', `[${repository}] is no name of a repository`)
  return `/v2/${repository}/${rest.split('/').map(encodeURIComponent).join('/').replaceAll('%3A', ':')}`
}

/** What a token is asked for (distribution token specification, "Resource Scope Grammar"). */
export const pullScope = (repository: string): string => `repository:${repository}:pull`
export const pushScope = (repository: string): string => `repository:${repository}:pull,push`
