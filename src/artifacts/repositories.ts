import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { retireSliceOfRepository } from '../metadata/node-writes.ts'
import { hasFiles } from '../metadata/nodes.ts'
import { findProject } from '../metadata/projects.ts'
import * as rows from '../metadata/repositories.ts'
import { projectNotFound } from './projects.ts'
import { planConfiguration, planRepository, type RepositoryRequest } from './repository-rules.ts'

export type { Repository, RepositoryFilter } from '../metadata/repositories.ts'
export type { RepositoryRequest } from './repository-rules.ts'

/** Undefined: stays as it is. */
export interface RepositoryUpdate {
  readonly public?: boolean | undefined
  readonly description?: string | undefined
  readonly displayName?: string | undefined
  readonly configuration?: unknown
}

export interface Repositories {
  /** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_EXISTED, and what `planRepository` refuses. */
  create(wanted: RepositoryRequest, by: string): Promise<rows.Repository>
  find(project: string, name: string): Promise<rows.Repository | undefined>
  /** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND. */
  get(project: string, name: string): Promise<rows.Repository>
  /** @throws AppError as `get`, and what `planConfiguration` refuses. */
  update(project: string, name: string, change: RepositoryUpdate, by: string): Promise<rows.Repository>
  /** `if-empty`: @throws AppError REPOSITORY_NOT_EMPTY while it holds a file. Folders do not count. */
  delete(project: string, name: string, mode: 'if-empty' | 'with-content', by: string): Promise<void>
  /** @throws AppError PROJECT_NOT_FOUND. */
  list(filter: rows.RepositoryFilter): Promise<rows.Repository[]>
  page(filter: rows.RepositoryFilter, page: PageRequest): Promise<Page<rows.Repository>>
}

interface RepositoryDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  /** Types that have a format (`formats/all.ts`). */
  readonly builtTypes: readonly string[]
}

/** About 40 ms on SQLite, which does it in this thread. */
const ROWS_PER_SLICE = 500

export function createRepositories({ db, clock, ids, builtTypes }: RepositoryDeps): Repositories {
  async function requireProject(name: string): Promise<void> {
    if ((await findProject(db.read, name)) === undefined) throw projectNotFound(name)
  }
  const repositories: Repositories = {
    async create(wanted, by) {
      const plan = planRepository(wanted, builtTypes)
      await requireProject(wanted.project)
      const now = clock.now()
      const made: rows.NewRepository = {
        ...plan,
        project: wanted.project,
        name: wanted.name,
        public: wanted.public ?? false,
        description: wanted.description ?? null,
        displayName: wanted.displayName ?? null,
        epoch: ids.key(),
        createdBy: by,
        createdAt: now,
        modifiedBy: by,
        modifiedAt: now,
      }
      const repository = await db.transact((trx) => rows.insertRepository(trx, made))
      if (repository === undefined) {
        throw new AppError('REPOSITORY_EXISTED', `Repository [${wanted.name}] existed`, { name: wanted.name })
      }
      return repository
    },
    find: (project, name) => rows.findRepository(db.read, project, name),
    async get(project, name) {
      const repository = await repositories.find(project, name)
      if (repository !== undefined) return repository
      await requireProject(project)
      throw repositoryNotFound(project, name)
    },
    async update(project, name, change, by) {
      const { id, category } = await repositories.get(project, name)
      const given = change.configuration ?? undefined
      const configuration = given === undefined ? undefined : planConfiguration(given, category)
      const changed = await db.transact((trx) =>
        rows.updateRepository(trx, id, { ...change, configuration }, by, clock.now()),
      )
      if (changed === undefined) throw repositoryNotFound(project, name)
      return changed
    },
    async delete(project, name, mode, by) {
      const { id } = await repositories.get(project, name)
      const now = clock.now()
      await db.transact(async (trx) => {
        await rows.lockRepository(trx, id)
        if (mode === 'if-empty' && (await hasFiles(trx, id, now))) {
          throw new AppError('REPOSITORY_NOT_EMPTY', `Repository [${name}] is not empty: use forced=true`, { name })
        }
        if (!(await rows.markRepositoryDeleted(trx, id, by, now))) throw repositoryNotFound(project, name)
        while ((await retireSliceOfRepository(trx, id, by, now, ROWS_PER_SLICE)) > 0) await setImmediate()
      })
    },
    async list(filter) {
      await requireProject(filter.project)
      return rows.listRepositories(db.read, filter)
    },
    async page(filter, page) {
      await requireProject(filter.project)
      return rows.pageRepositories(db.read, filter, page)
    },
  }
  return repositories
}

export const repositoryNotFound = (project: string, name: string): AppError =>
  new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${name}] not found`, { project, name })
