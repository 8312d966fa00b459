import type { Registries } from '../../clusters/registries.ts'
import { invalid } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findImportRow, lockImport } from '../../metadata/replication/imports.ts'
import { type TaskRow, updateTask } from '../../metadata/replication/tasks.ts'
import { type GivenRepository, givenRepository } from '../distributions/given-repository.ts'
import { idToCome, type RegistryWays, reachRegistry } from '../distributions/registry-ways.ts'
import { newestRun, present, refuseWhileRunning, removeTask } from '../distributions/run-once.ts'
import type { TaskJudge } from '../judge-task.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'
import type { ImportOrigin } from '../task.ts'
import type { TaskControl } from '../task-control.ts'
import type { TaskPlacing } from '../task-placing.ts'
import { checkImport, importTaskName } from './import-request.ts'

/** Versions of registries of others come to a repository, to stay. A repository is named by project and name; both are of the URL. */
export interface Imports {
  /**
   * Judges, connects and stores; runs nothing. A name that is there is replaced. @returns the key of its task, for its records.
   * @throws AppError of `checkImport` and `TaskJudge`; REPOSITORY_NOT_FOUND; CLUSTER_CONNECT_ERROR; TASK_STATUS_INVALID while it runs.
   */
  create(project: string, repo: string, body: unknown, userId: string, signal: AbortSignal): Promise<string>
  /** @throws AppError RESOURCE_NOT_FOUND, TASK_STATUS_INVALID. */
  execute(project: string, repo: string, name: string): Promise<void>
  /** Of the newest run; undefined: it never ran. @throws AppError RESOURCE_NOT_FOUND. */
  status(project: string, repo: string, name: string): Promise<ExecutionRecord | undefined>
  /** With its records; what it brought stays. Missing is fine. @throws AppError DELETION_REFUSED while it runs. */
  delete(project: string, repo: string, name: string): Promise<void>
}

interface ImportsDeps {
  readonly db: MetadataDatabase
  readonly judge: Pick<TaskJudge, 'judgeGiven'>
  readonly placing: TaskPlacing
  readonly control: Pick<TaskControl, 'execute'>
  readonly records: Pick<Records, 'page'>
  readonly registries: Registries
  /** By repository type: how registries of others are found. */
  readonly foreign: ReadonlyMap<string, RegistryWays>
}

export function createImports(deps: ImportsDeps): Imports {
  const { db, judge, placing, control, records, registries, foreign } = deps

  /** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND; PARAMETER_INVALID for one that nothing can come to. */
  async function repositoryOf(project: string, repo: string): Promise<GivenRepository> {
    const found = await givenRepository(db.read, project, repo)
    if (found.category === 'REMOTE' || found.category === 'VIRTUAL')
      throw invalid('repoName', `[${repo}] is ${found.category}: its content comes from elsewhere already`)
    if (foreign.has(found.type)) return found
    const types = [...foreign.keys()].join(', ')
    throw invalid('repoName', `versions of ${types} repositories come from registries, and this one is ${found.type}`)
  }
  /** @throws AppError RESOURCE_NOT_FOUND. */
  const get = async (project: string, repo: string, name: string): Promise<TaskRow> =>
    present(await findImportRow(db.read, importTaskName(project, repo, name)), name)

  return {
    async create(project, repo, body, userId, signal) {
      const repository = await repositoryOf(project, repo)
      const { name, registry, task } = checkImport(body, repository)
      const taskName = String(task.name)
      const goes = { id: idToCome(taskName), name: taskName }
      const exceptKey = (await findImportRow(db.read, taskName))?.key
      await judge.judgeGiven(db.read, task, { targets: [goes], exceptKey })
      const before = await registries.find(db.read, taskName)
      const change = await reachRegistry(foreign.get(repository.type)!, registry, before, registries, signal)
      return db.transact(async (trx) => {
        const known = await lockImport(trx, taskName)
        const target = await registries.put(trx, taskName, change, userId)
        const plan = await judge.judgeGiven(trx, task, { targets: [target], exceptKey: known?.key })
        const key = known?.key ?? (await placing.add(trx, { ...plan, enabled: true }, userId))
        if (known !== undefined) await placing.replace(trx, key, plan, userId)
        const origin: ImportOrigin = { name, by: userId }
        await updateTask(trx, key, { imports: JSON.stringify(origin) })
        return key
      })
    },
    async execute(project, repo, name) {
      await control.execute((await get(project, repo, name)).key)
    },
    async status(project, repo, name) {
      return newestRun(records, await get(project, repo, name))
    },
    async delete(project, repo, name) {
      await db.transact(async (trx) => {
        const row = await lockImport(trx, importTaskName(project, repo, name))
        if (row === undefined) return
        await refuseWhileRunning(trx, row, name)
        await removeTask(trx, row)
      })
    },
  }
}
