import { CliFailure, EXIT } from './cli-failure.ts'
import type { ServerApi } from './server-api.ts'

/** A replication task as the server shows it; times are date-times of the server. */
export interface TaskInfo {
  readonly key: string
  readonly name: string
  readonly projectId: string
  readonly replicaObjectType: string
  readonly replicaType: string
  readonly setting: {
    readonly executionStrategy: string
    readonly executionPlan: { readonly executeTime: string | null; readonly cronExpression: string | null }
  }
  readonly remoteClusters: readonly { readonly id: string; readonly name: string }[]
  readonly status: string
  readonly lastExecutionStatus: string | null
  readonly lastExecutionTime: string | null
  readonly nextExecutionTime: string | null
  readonly executionTimes: number
  readonly enabled: boolean
}
export interface Page<T> {
  readonly totalRecords: number
  readonly totalPages: number
  readonly records: readonly T[]
}

export const TASKS = '/replication/api/task'
const KEY = /^[0-9a-f]{32}$/
const PAGE_SIZE = 1_000

/** Tasks of a project whose names begin with `name`. */
export async function listTasks(server: ServerApi, project: string, name = ''): Promise<TaskInfo[]> {
  const tasks: TaskInfo[] = []
  for (let pageNumber = 1; ; pageNumber++) {
    const query = new URLSearchParams({ name, pageNumber: String(pageNumber), pageSize: String(PAGE_SIZE) })
    const path = `${TASKS}/page/${encodeURIComponent(project)}?${query}`
    const page = await server.call<Page<TaskInfo>>('GET', path)
    tasks.push(...page.records)
    if (pageNumber >= page.totalPages) return tasks
  }
}

/** Of all projects. */
export async function listAllTasks(server: ServerApi, name?: string): Promise<TaskInfo[]> {
  const projects = await server.call<{ name: string }[]>('GET', '/repository/api/project/list')
  const found: TaskInfo[] = []
  for (const project of projects) found.push(...(await listTasks(server, project.name, name)))
  return found
}

/** The key of a task that is named by its key, or by its name. @throws CliFailure when no task has that name. */
export async function taskKeyOf(server: ServerApi, named: string): Promise<string> {
  if (KEY.test(named)) return named
  const found = (await listAllTasks(server, named)).find(({ name }) => name === named)
  if (found === undefined) throw new CliFailure(`There is no task "${named}"`, EXIT.notFound)
  return found.key
}
