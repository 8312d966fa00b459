import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from './api.ts'
import { createRepository, createTask, executeTask, listRecords, registerCluster, taskOf } from './replication-calls.ts'
import type { ServerProcess } from './server-process.ts'

const EVERY_SECOND = '* * * * * ?'
const POLL_MS = 50

/** Three tasks to one target, each for a repository of its own: one follows changes, one runs by cron, one when it is executed. */
export interface ThreeTriggers {
  readonly live: Triggered
  readonly cron: Triggered
  readonly manual: Triggered
  readonly all: readonly Triggered[]
}
export interface Triggered {
  readonly key: string
  /** `project/repo`, on both sides. */
  readonly repository: string
}

/** @param name of the project, and of the target there. @param url where the source reaches it. */
export async function threeTriggers(
  a: Api,
  { name, url, target }: { readonly name: string; readonly url: string; readonly target: ServerProcess },
  signal: AbortSignal,
): Promise<ThreeTriggers> {
  const { user, password } = target
  const clusterId = await registerCluster(a, { name, url, user, password }, signal)
  const made = async (kind: string, replicaType: string, more: object): Promise<Triggered> => {
    const repository = `${name}/${kind}`
    await createRepository(a, repository, signal)
    const sample = taskOf(`${name} ${kind}`, repository, [clusterId])
    const rules = { conflictStrategy: 'OVERWRITE', propagateDelete: true }
    const task = { ...sample, replicaType, setting: { ...sample.setting, ...rules, ...more } }
    return { key: await createTask(a, task, signal), repository }
  }
  const cronPlan = {
    executionStrategy: 'CRON_EXPRESSION',
    executionPlan: { executeImmediately: false, cronExpression: EVERY_SECOND },
  }
  const live = await made('live', 'REAL_TIME', {})
  const cron = await made('cron', 'SCHEDULED', cronPlan)
  const manual = await made('manual', 'SCHEDULED', {})
  return { live, cron, manual, all: [live, cron, manual] }
}

/** Executes a task unless it runs. */
export async function executeIfIdle(a: Api, { key }: Triggered, signal: AbortSignal): Promise<void> {
  const [newest] = await listRecords(a, key, signal)
  if (newest?.status !== 'RUNNING') await executeTask(a, key, signal)
}

/** Switches a task off and waits for the end of all its records. @throws when one is still RUNNING after `withinMs`. */
export async function switchOff(
  a: Api,
  { key, repository }: Triggered,
  withinMs: number,
  signal: AbortSignal,
): Promise<void> {
  await a.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
  const deadline = performance.now() + withinMs
  while ((await listRecords(a, key, signal)).some(({ status }) => status === 'RUNNING')) {
    assert.ok(performance.now() < deadline, `a run of ${repository} is stuck in RUNNING`)
    await sleep(POLL_MS, undefined, { signal })
  }
}
