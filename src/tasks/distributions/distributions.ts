import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import { ofOneMoment } from '../../metadata/one-moment.ts'
import { findClusterRows } from '../../metadata/replication/clusters.ts'
import {
  findDistributionRow,
  listDistributionRows,
  lockDistribution,
} from '../../metadata/replication/distributions.ts'
import type { TaskRow } from '../../metadata/replication/tasks.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'
import type { Runs } from '../runs.ts'
import { objectsOfTasks, tasksFromRows } from '../stored-task.ts'
import type { TaskControl } from '../task-control.ts'
import { type Distribution, type DistributionOrigin, distributionTaskName, taskNotFound } from './distribution.ts'
import { checkConfig, checkConfigs, checkRunOnce } from './distribution-request.ts'
import { createDistributionStoring, type DistributionStoringDeps } from './distribution-storing.ts'
import { givenRepository } from './given-repository.ts'
import { deletionRefused, newestRun, present, refuseWhileRunning, removeTask } from './run-once.ts'
import { createVersionPush, type NamedVersion } from './version-push.ts'

/** Use cases of contract 001 on tasks (replication.md 1.4, 4). A repository is named by project and name; both are of the URL. */
export interface Distributions {
  /**
   * All are judged and connected to before any is stored, then all are stored at once. A name that is there is replaced.
   * @throws AppError of `checkConfigs` and `TaskJudge`; REPOSITORY_NOT_FOUND; CLUSTER_CONNECT_ERROR; then nothing is stored.
   */
  create(project: string, repo: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** Replaces all but a password and a setting that are left out. @throws AppError TASK_NOT_FOUND, and as `create`. */
  update(project: string, repo: string, name: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** By name; of a name that is not there: none. */
  list(project: string, repo: string, name: string | undefined): Promise<Distribution[]>
  /** With records and the node of its registry. @throws AppError TASK_NOT_FOUND; DELETION_REFUSED while one that runs once is running. */
  delete(project: string, repo: string, name: string): Promise<void>
  /** @throws AppError TASK_NOT_FOUND. */
  toggle(project: string, repo: string, name: string, userId: string): Promise<void>
  /** Starts a run. @throws AppError TASK_NOT_FOUND, TASK_DISABLED; TASK_STATUS_INVALID while one is in progress, and for REAL_TIME. */
  run(project: string, repo: string, name: string): Promise<void>
  /** One version again. @throws AppError TASK_NOT_FOUND, and of `createVersionPush`. */
  push(project: string, repo: string, name: string, version: NamedVersion): Promise<void>

  /** As `create`, of one that runs when it is told to. @throws AppError TASK_STATUS_INVALID while the one of that name runs. */
  createRunOnce(project: string, repo: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** @throws AppError RESOURCE_NOT_FOUND, TASK_TYPE_UNSUITED, TASK_DISABLED, TASK_STATUS_INVALID. */
  executeRunOnce(project: string, repo: string, name: string): Promise<void>
  /** Of the newest run; undefined: it never ran. @throws AppError RESOURCE_NOT_FOUND. */
  statusOfRunOnce(project: string, repo: string, name: string): Promise<ExecutionRecord | undefined>
  /** Missing is fine. @throws AppError DELETION_REFUSED while it runs, and for one of another type that has not ended. */
  deleteRunOnce(project: string, repo: string, name: string): Promise<void>
}

export interface DistributionsDeps extends DistributionStoringDeps {
  readonly control: Pick<TaskControl, 'toggle' | 'execute'>
  readonly records: Pick<Records, 'page'>
  readonly runs: Pick<Runs, 'start'>
  readonly clock: Clock
}

export function createDistributions(deps: DistributionsDeps): Distributions {
  const { db, control, records } = deps
  const storeAll = createDistributionStoring(deps)
  const pushVersion = createVersionPush(deps)
  const repositoryOf = (project: string, repo: string) => givenRepository(db.read, project, repo)
  const find = (project: string, repo: string, name: string): Promise<TaskRow | undefined> =>
    findDistributionRow(db.read, distributionTaskName(project, repo, name))
  /** @throws AppError TASK_NOT_FOUND. */
  async function get(project: string, repo: string, name: string): Promise<TaskRow> {
    const row = await find(project, repo, name)
    if (row !== undefined) return row
    throw taskNotFound(distributionTaskName(project, repo, name))
  }

  return {
    async create(project, repo, body, userId, signal) {
      await storeAll(checkConfigs(body, await repositoryOf(project, repo)), 'create', userId, signal)
    },
    async update(project, repo, name, body, userId, signal) {
      const repository = await repositoryOf(project, repo)
      const row = await get(project, repo, name)
      const stored = { replicaType: row.replica_type, enabled: row.enabled === 1 }
      await storeAll([checkConfig(fieldsOf(body), name, repository, stored)], 'update', userId, signal)
    },
    list: (project, repo, name) =>
      ofOneMoment(db, async (reader) => {
        const prefix = distributionTaskName(project, repo, '')
        const rows = (await listDistributionRows(reader, project, prefix)).filter(
          (row) => name === undefined || row.name === `${prefix}${name}`,
        )
        const tasks = await tasksFromRows(reader, rows)
        const objects = await objectsOfTasks(reader, rows)
        const targets = tasks.flatMap((task) => task.targets.map(({ id }) => id))
        const nodes = new Map((await findClusterRows(reader, targets)).map((node) => [node.name, node]))
        return tasks.map((task, n): Distribution => {
          const origin = JSON.parse(rows[n]!.distribution!) as DistributionOrigin
          const node = origin.kind === 'registry' ? nodes.get(task.name) : undefined
          const registry = node && { url: node.url, username: node.username, certificate: node.certificate }
          return { origin, task, object: objects.get(task.key)![0]!, registry }
        })
      }),
    async delete(project, repo, name) {
      await get(project, repo, name)
      await db.transact(async (trx) => {
        const row = await lockDistribution(trx, distributionTaskName(project, repo, name))
        if (row === undefined) return
        if (row.replica_type === 'RUN_ONCE') await refuseWhileRunning(trx, row, name)
        await removeTask(trx, row)
      })
    },
    async toggle(project, repo, name, userId) {
      await control.toggle((await get(project, repo, name)).key, userId)
    },
    async run(project, repo, name) {
      await control.execute((await get(project, repo, name)).key)
    },
    async push(project, repo, name, version) {
      const repository = await repositoryOf(project, repo)
      await pushVersion(repository, await get(project, repo, name), version)
    },

    async createRunOnce(project, repo, body, userId, signal) {
      await storeAll([checkRunOnce(body, await repositoryOf(project, repo))], 'create', userId, signal)
    },
    async executeRunOnce(project, repo, name) {
      const row = present(await find(project, repo, name), name)
      if (row.replica_type === 'RUN_ONCE') return control.execute(row.key)
      const why = `[${name}] is ${row.replica_type}, and only RUN_ONCE tasks are run by this call`
      throw new AppError('TASK_TYPE_UNSUITED', `Method not allowed, reason: ${why}`, { name })
    },
    async statusOfRunOnce(project, repo, name) {
      return newestRun(records, present(await find(project, repo, name), name))
    },
    async deleteRunOnce(project, repo, name) {
      await db.transact(async (trx) => {
        const row = await lockDistribution(trx, distributionTaskName(project, repo, name))
        if (row === undefined) return
        if (row.replica_type !== 'RUN_ONCE' && row.status !== 'COMPLETED') {
          throw deletionRefused(name, `it is ${row.replica_type} and has not ended; delete it as a configuration`)
        }
        await refuseWhileRunning(trx, row, name)
        await removeTask(trx, row)
      })
    },
  }
}
