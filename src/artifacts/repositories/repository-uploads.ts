import { AppError } from '../../core/errors.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'

type Named = Pick<Repository, 'project' | 'name' | 'category'>

/** Users bring files to it. */
export const takesUploads = ({ category }: Pick<Repository, 'category'>): boolean =>
  category === 'LOCAL' || category === 'COMPOSITE'

/** @throws AppError METHOD_NOT_ALLOWED for REMOTE and VIRTUAL: their content comes from elsewhere. */
export function requireUploads(repository: Named): void {
  if (takesUploads(repository)) return
  throw notIn(repository, 'takes no uploads: its files come from elsewhere')
}

/** @throws AppError METHOD_NOT_ALLOWED for VIRTUAL: what it shows is its members'. */
export function requireOwnFiles(repository: Named): void {
  if (repository.category === 'VIRTUAL') throw notIn(repository, 'has no files of its own: change those of its members')
}

function notIn({ project, name, category }: Named, why: string): AppError {
  return new AppError(
    'METHOD_NOT_ALLOWED',
    `Method not allowed: the ${category} repository [${project}/${name}] ${why}`,
    {
      category,
    },
  )
}
