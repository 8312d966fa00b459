import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import { isProjectName } from '../core/names.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import * as rows from '../metadata/projects.ts'

export type { Project, ProjectFilter, ProjectOrder, ProjectSortKey } from '../metadata/projects.ts'

export interface NewProject {
  readonly name: string
  /** 2 to 100 characters. */
  readonly displayName: string
  readonly description: string
  readonly metadata?: readonly unknown[] | undefined
}

/** Undefined: stays as it is. */
export interface ProjectChange {
  readonly displayName: string | undefined
  readonly description: string | undefined
}

export interface Projects {
  /** @throws AppError PARAMETER_INVALID naming the field, PROJECT_EXISTED. */
  create(project: NewProject, by: string): Promise<rows.Project>
  find(name: string): Promise<rows.Project | undefined>
  /** @throws AppError PROJECT_NOT_FOUND. */
  get(name: string): Promise<rows.Project>
  /** @throws AppError PROJECT_NOT_FOUND, PARAMETER_INVALID. */
  update(name: string, change: ProjectChange, by: string): Promise<void>
  list(filter: rows.ProjectFilter, order: readonly rows.ProjectOrder[]): Promise<rows.Project[]>
}

interface ProjectDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
}

export function createProjects({ db, clock }: ProjectDeps): Projects {
  const projects: Projects = {
    async create({ name, displayName, description, metadata = [] }, by) {
      if (!isProjectName(name)) throw invalid('name', 'it must match ^[a-zA-Z_][a-zA-Z0-9\\-_]{1,99}$')
      checkDisplayName(displayName)
      const now = clock.now()
      const stamps = { createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now }
      const project = { name, displayName, description, metadata, ...stamps }
      if (!(await db.transact((trx) => rows.insertProject(trx, project)))) {
        throw new AppError('PROJECT_EXISTED', `Project [${name}] existed`, { name })
      }
      return project
    },
    find: (name) => rows.findProject(db.read, name),
    async get(name) {
      const project = await projects.find(name)
      if (project === undefined) throw projectNotFound(name)
      return project
    },
    async update(name, change, by) {
      if (change.displayName !== undefined) checkDisplayName(change.displayName)
      const found = await db.transact((trx) => rows.updateProject(trx, name, change, by, clock.now()))
      if (!found) throw projectNotFound(name)
    },
    list: (filter, order) => rows.listProjects(db.read, filter, order),
  }
  return projects
}

export const projectNotFound = (name: string): AppError =>
  new AppError('PROJECT_NOT_FOUND', `Project [${name}] not found`, { name })

function checkDisplayName(displayName: string): void {
  const { length } = displayName.trim()
  if (length < 2 || displayName.length > 100) throw invalid('displayName', 'it must have 2 to 100 characters')
}
