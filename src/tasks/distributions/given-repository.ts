import { AppError } from '../../core/errors.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { Reader } from '../../metadata/database.ts'
import { findProjectFacts } from '../../metadata/replication/task-facts.ts'

/** A repository, as the URL names it and the database knows it. */
export interface GivenRepository {
  readonly project: string
  readonly name: string
  readonly type: RepositoryType
}

/** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND. */
export async function givenRepository(
  reader: Reader,
  project: string,
  repo: string,
): Promise<GivenRepository & { readonly category: string }> {
  const facts = await findProjectFacts(reader, project, [repo])
  if (!facts.exists) throw new AppError('PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
  const found = facts.repositories.find(({ name }) => name === repo)
  if (found !== undefined) return { project, name: repo, type: found.type as RepositoryType, category: found.category }
  throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${repo}] not found`, { project, repo })
}
