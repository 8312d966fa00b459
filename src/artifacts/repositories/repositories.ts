import { createBuiltInPermissions } from '../../auth/built-in-permissions.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { deleteRightsInRepository } from '../../metadata/access/granted-rights.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { hasFiles } from '../../metadata/nodes/nodes.ts'
import { findProject } from '../../metadata/repositories/projects.ts'
import * as rows from '../../metadata/repositories/repositories.ts'
import { untilCommit } from '../../metadata/sql/until-commit.ts'
import type { OutgoingRules } from '../../remotes/outgoing-url.ts'
import type { RepositoryPasswords } from '../proxies/repository-passwords.ts'
import { checkMembers } from '../views/virtual-members.ts'
import { projectNotFound } from './projects.ts'
import { planConfiguration, virtualMembers } from './repository-configuration.ts'
import type { RepositoryRetirement } from './repository-retirement.ts'
import { planRepository, type RepositoryRequest } from './repository-rules.ts'

export type { Repository, RepositoryFilter } from '../../metadata/repositories/repositories.ts'
export type { RepositoryRequest } from './repository-rules.ts'

/** Undefined: stays as it is. */
export interface RepositoryUpdate {
  readonly public?: boolean | undefined
  readonly description?: string | undefined
  readonly displayName?: string | undefined
  readonly display?: boolean | undefined
  readonly owner?: string | undefined
  readonly visibility?: string | undefined
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
  /**
   * Gone for everybody when it resolves; its rows are retired in slices afterwards (`repository-retirement.ts`).
   * `if-empty`: @throws AppError REPOSITORY_NOT_EMPTY while it holds a file. Folders do not count.
   */
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
  readonly passwords: RepositoryPasswords
  /** Of proxies. */
  readonly rules: OutgoingRules
  readonly retirement: Pick<RepositoryRetirement, 'begin'>
}

export function createRepositories(deps: RepositoryDeps): Repositories {
  const { db, clock, ids, builtTypes, passwords, rules, retirement } = deps
  const byName = untilCommit(db, (project, name) => rows.findRepository(db.read, project!, name!))
  async function requireProject(name: string): Promise<void> {
    if ((await findProject(db.read, name)) === undefined) throw projectNotFound(name)
  }
  /** What it is configured with from now on; undefined: as it was, or it is gone. */
  async function reconfigure(trx: Transaction, id: number, given: unknown) {
    if (given === undefined) return undefined
    await rows.lockRepository(trx, id)
    const repository = await rows.findRepositoryById(trx, id)
    if (repository === undefined) return undefined
    const { project, category, type: repositoryType, configuration: before } = repository
    const plan = planConfiguration(given, { project, category, repositoryType, rules, before })
    if (category === 'VIRTUAL') await checkMembers(trx, repository, plan.members, virtualMembers(before))
    await passwords.save(trx, id, plan.passwords)
    return plan.kept
  }
  const repositories: Repositories = {
    async create(wanted, by) {
      const { configuration, ...plan } = planRepository(wanted, builtTypes, rules)
      await requireProject(wanted.project)
      const now = clock.now()
      const made: rows.NewRepository = {
        ...plan,
        configuration: configuration.kept,
        project: wanted.project,
        name: wanted.name,
        public: wanted.public ?? false,
        description: wanted.description ?? null,
        displayName: wanted.displayName ?? null,
        display: wanted.display ?? true,
        owner: wanted.owner ?? by,
        visibility: wanted.visibility ?? null,
        epoch: ids.key(),
        createdBy: by,
        createdAt: now,
        modifiedBy: by,
        modifiedAt: now,
      }
      const repository = await db.transact(async (trx) => {
        if (plan.category === 'VIRTUAL') await checkMembers(trx, made, configuration.members, [])
        const inserted = await rows.insertRepository(trx, made)
        if (inserted !== undefined) await passwords.save(trx, inserted.id, configuration.passwords)
        if (inserted !== undefined) await createBuiltInPermissions(trx, inserted, { clock, ids }, by)
        return inserted
      })
      if (repository === undefined) {
        throw new AppError('REPOSITORY_EXISTED', `Repository [${wanted.name}] existed`, { name: wanted.name })
      }
      return repository
    },
    find: byName,
    async get(project, name) {
      const repository = await repositories.find(project, name)
      if (repository !== undefined) return repository
      await requireProject(project)
      throw repositoryNotFound(project, name)
    },
    async update(project, name, change, by) {
      const { id } = await repositories.get(project, name)
      const changed = await db.transact(async (trx) => {
        const configuration = await reconfigure(trx, id, change.configuration ?? undefined)
        return rows.updateRepository(trx, id, { ...change, configuration }, by, clock.now())
      })
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
        await deleteRightsInRepository(trx, id)
        await retirement.begin(trx, id)
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
/** For those who know it by its number only. */
export const repositoryGone = (id: number): AppError =>
  new AppError('REPOSITORY_NOT_FOUND', `Repository [${id}] was deleted`, { id })
