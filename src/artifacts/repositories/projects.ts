import type { Roles } from '../../auth/roles.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, empty, invalid } from '../../core/errors.ts'
import { checkMetadata, type Metadata } from '../../core/metadata.ts'
import { isProjectName, isReservedProjectName } from '../../core/names.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import * as rows from '../../metadata/repositories/projects.ts'

export type { Project, ProjectFilter, ProjectOrder, ProjectSortKey } from '../../metadata/repositories/projects.ts'

export interface NewProject {
  readonly name: string
  /** 2 to 100 characters. */
  readonly displayName: string
  readonly description: string
  readonly metadata?: Metadata | undefined
}

/** Undefined: stays as it is. */
export interface ProjectChange {
  readonly displayName: string | undefined
  readonly description: string | undefined
  /** In place of all there was. */
  readonly metadata?: Metadata | undefined
}

export interface Projects {
  /** @throws AppError PARAMETER_INVALID naming the field, METADATA_INVALID, PROJECT_EXISTED. */
  create(project: NewProject, by: string): Promise<rows.Project>
  /** The same, and whoever makes it administers it: for users who are no administrators of everything. */
  createOwn(project: NewProject, by: string): Promise<rows.Project>
  find(name: string): Promise<rows.Project | undefined>
  /** @throws AppError PROJECT_NOT_FOUND. */
  get(name: string): Promise<rows.Project>
  /** @throws AppError PROJECT_NOT_FOUND, PARAMETER_INVALID, METADATA_INVALID. */
  update(name: string, change: ProjectChange, by: string): Promise<void>
  list(filter: rows.ProjectFilter, order: readonly rows.ProjectOrder[]): Promise<rows.Project[]>
  page(filter: rows.ProjectFilter, order: readonly rows.ProjectOrder[], page: PageRequest): Promise<Page<rows.Project>>
}

interface ProjectDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly roles: Pick<Roles, 'makeAdministrator'>
}

export function createProjects({ db, clock, roles }: ProjectDeps): Projects {
  async function make(
    { name, displayName, description, metadata = [] }: NewProject,
    by: string,
    then: (trx: Transaction) => Promise<void>,
  ): Promise<rows.Project> {
    if (name === '') throw empty('name')
    if (!isProjectName(name)) throw invalid('name', 'it must match ^[a-zA-Z_][a-zA-Z0-9\\-_]{1,99}$')
    if (isReservedProjectName(name)) throw invalid('name', `[${name}] has another meaning in URLs: take another name`)
    checkDisplayName(displayName)
    checkMetadata(metadata)
    const now = clock.now()
    const stamps = { createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now }
    const project = { name, displayName, description, metadata, ...stamps }
    await db.transact(async (trx) => {
      if (!(await rows.insertProject(trx, project))) {
        throw new AppError('PROJECT_EXISTED', `Project [${name}] existed`, { name })
      }
      await then(trx)
    })
    return project
  }
  const projects: Projects = {
    create: (project, by) => make(project, by, async () => {}),
    createOwn: (project, by) =>
      make(project, by, (trx) => roles.makeAdministrator(trx, by, { project: project.name, repoName: null }, by)),
    find: (name) => rows.findProject(db.read, name),
    async get(name) {
      const project = await projects.find(name)
      if (project === undefined) throw projectNotFound(name)
      return project
    },
    async update(name, change, by) {
      const { displayName, description, metadata } = change
      if (displayName !== undefined) checkDisplayName(displayName)
      if (metadata !== undefined) checkMetadata(metadata)
      const found = await db.transact((trx) =>
        rows.updateProject(trx, name, { displayName, description, metadata }, by, clock.now()),
      )
      if (!found) throw projectNotFound(name)
    },
    list: (filter, order) => rows.listProjects(db.read, filter, order),
    page: (filter, order, page) => rows.pageProjects(db.read, filter, order, page),
  }
  return projects
}

export const projectNotFound = (name: string): AppError =>
  new AppError('PROJECT_NOT_FOUND', `Project [${name}] not found`, { name })

function checkDisplayName(displayName: string): void {
  const { length } = displayName.trim()
  if (length < 2 || displayName.length > 100) throw invalid('displayName', 'it must have 2 to 100 characters')
}
