import { createHash } from 'node:crypto'
import { isSameRegistry, type Registries, type RegistryChange } from '../../clusters/registries.ts'
import { AppError, invalid } from '../../core/errors.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { ClusterRow } from '../../metadata/replication/clusters.ts'
import { findImportRow, lockImport } from '../../metadata/replication/imports.ts'
import { deleteRecordsOfTask, hasRunningRecord } from '../../metadata/replication/records.ts'
import { findProjectFacts } from '../../metadata/replication/task-facts.ts'
import { deleteTaskRows, type TaskRow, updateTask } from '../../metadata/replication/tasks.ts'
import type { RegistryWays } from '../distributions/distributions.ts'
import type { TaskJudge } from '../judge-task.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'
import type { ImportOrigin } from '../task.ts'
import type { TaskControl } from '../task-control.ts'
import type { TaskPlacing } from '../task-placing.ts'
import { checkImport, type ImportedRegistry, type ImportingRepository, importTaskName } from './import-request.ts'

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
  async function repositoryOf(project: string, repo: string): Promise<ImportingRepository> {
    const facts = await findProjectFacts(db.read, project, [repo])
    if (!facts.exists) throw new AppError('PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
    const found = facts.repositories.find(({ name }) => name === repo)
    if (found === undefined)
      throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${repo}] not found`, { project, repo })
    if (found.category === 'REMOTE' || found.category === 'VIRTUAL')
      throw invalid('repoName', `[${repo}] is ${found.category}: its content comes from elsewhere already`)
    if (!foreign.has(found.type)) {
      const types = [...foreign.keys()].join(', ')
      throw invalid('repoName', `versions of ${types} repositories come from registries, and this one is ${found.type}`)
    }
    return { project, name: repo, type: found.type as RepositoryType }
  }

  async function reach(
    type: RepositoryType,
    { address, username, certificate, ping, password: given }: ImportedRegistry,
    known: ClusterRow | undefined,
    signal: AbortSignal,
  ): Promise<RegistryChange> {
    const ways = foreign.get(type)!
    const assumed = ways.assumedUrl(address)
    // A stored password is sent only where it was meant for.
    const isSame = known !== undefined && isSameRegistry(known.url, assumed)
    const isKnown = isSame && known.username === (username ?? null)
    const password = given ?? (isKnown ? registries.passwordOf(known) : undefined)
    const url = ping ? await ways.reach({ address, username, password, certificate }, signal) : assumed
    return { url, username, password, certificate, isReached: ping }
  }

  const find = (project: string, repo: string, name: string): Promise<TaskRow | undefined> =>
    findImportRow(db.read, importTaskName(project, repo, name))
  /** @throws AppError RESOURCE_NOT_FOUND. */
  async function get(project: string, repo: string, name: string): Promise<TaskRow> {
    const row = await find(project, repo, name)
    if (row !== undefined) return row
    throw new AppError('RESOURCE_NOT_FOUND', `Resource [${name}] not found`, { name })
  }
  async function remove(trx: Transaction, { key, name }: TaskRow): Promise<void> {
    await deleteRecordsOfTask(trx, key)
    await deleteTaskRows(trx, key)
    await registries.remove(trx, name)
  }

  return {
    async create(project, repo, body, userId, signal) {
      const repository = await repositoryOf(project, repo)
      const { name, registry, task } = checkImport(body, repository)
      const taskName = String(task.name)
      const goes = { id: idToCome(taskName), name: taskName }
      const exceptKey = (await findImportRow(db.read, taskName))?.key
      await judge.judgeGiven(db.read, task, { targets: [goes], exceptKey })
      const change = await reach(repository.type, registry, await registries.find(db.read, taskName), signal)
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
      const { key } = await get(project, repo, name)
      return (await records.page(key, undefined, { pageNumber: 1, pageSize: 1 })).records[0]
    },
    async delete(project, repo, name) {
      await db.transact(async (trx) => {
        const row = await lockImport(trx, importTaskName(project, repo, name))
        if (row === undefined) return
        if (await hasRunningRecord(trx, row.key)) {
          const why = `Access denied: [${name}] is not deleted, it is running; wait for its end, or stop it`
          throw new AppError('DELETION_REFUSED', why, { name })
        }
        await remove(trx, row)
      })
    },
  }
}

/** Of a registry that has no node yet. */
const idToCome = (taskName: string): string => createHash('sha256').update(taskName).digest('hex').slice(0, 24)
