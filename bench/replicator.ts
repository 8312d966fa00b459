import { differencesOf } from '../demo/compare.ts'
import type { SentFile } from '../demo/upload.ts'
import type { Overview, RecordInfo } from '../src/cli/run-progress.ts'
import type { Api } from '../test/helpers/api.ts'
import * as calls from '../test/helpers/replication-calls.ts'
import { trafficOf } from '../test/helpers/traffic.ts'
import type { Measured, Usage } from './process-usage.ts'

const POLL_MS = 20

/** One run of a task, as its record and the processes tell it. */
export interface Run {
  readonly overview: Overview
  /** From the record's start to its end. */
  readonly recordMs: number
  /** From our request to the moment when we saw the end, a poll of 20 ms included. */
  readonly seenMs: number
  /** Requests of `/sync` that the target answered meanwhile. */
  readonly targetRequests: number
  readonly a: Usage
  readonly b: Usage
}

export interface Replicating {
  readonly a: Api
  readonly b: Api
  readonly clusterId: string
  measure(work: () => Promise<unknown>): Promise<Measured>
}

/**
 * One run of a repository's task, whose first run its creation starts; both sides are compared with `expected` afterwards
 * (`unlisted`: they hold too much to be listed). `around` does something else while the run goes on.
 * @throws Error when the run failed or a side differs.
 */
export type Replicate = (
  repository: string,
  expected: readonly SentFile[] | 'unlisted',
  around?: (work: () => Promise<void>) => Promise<void>,
) => Promise<Run>

export function replicator({ a, b, clusterId, measure }: Replicating, signal: AbortSignal): Replicate {
  const tasks = new Map<string, { readonly key: string; readonly runs: number }>()
  const begin = async (repository: string) => {
    const known = tasks.get(repository)
    const task = known ?? { key: await calls.createTask(a, taskFor(repository), signal), runs: 0 }
    if (known !== undefined) await calls.executeTask(a, known.key, signal)
    const begun = { key: task.key, runs: task.runs + 1 }
    tasks.set(repository, begun)
    return begun
  }
  const taskFor = (repository: string) => calls.taskOf(`bench ${repository}`, repository, [clusterId])

  return async (repository, expected, around = (work) => work()) => {
    const before = await trafficOf(b, signal)
    let record: RecordInfo | undefined
    const run = async () => {
      const { key, runs } = await begin(repository)
      record = await calls.waitForRun(a, key, { runs, pollMs: POLL_MS }, signal)
    }
    const measured = await measure(() => around(run))
    const targetRequests = (await trafficOf(b, signal)).syncRequests - before.syncRequests
    if (record?.status !== 'SUCCESS') throw new Error(`The run ended ${record?.status}: ${record?.errorReason}`)
    if (expected !== 'unlisted') for (const api of [a, b]) await mustHold(api, repository, expected, signal)
    return {
      overview: await calls.overviewOf(a, record.id, signal),
      recordMs: Date.parse(`${record.endTime}Z`) - Date.parse(`${record.startTime}Z`),
      seenMs: measured.ms,
      targetRequests,
      a: measured.a,
      b: measured.b,
    }
  }
}

async function mustHold(
  api: Api,
  repository: string,
  expected: readonly SentFile[],
  signal: AbortSignal,
): Promise<void> {
  const differences = await differencesOf(api, repository, expected, signal)
  if (differences.length > 0)
    throw new Error(`${api.url} is not as it should be: ${differences.slice(0, 5).join('; ')}`)
}
