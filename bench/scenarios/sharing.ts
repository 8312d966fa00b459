import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { faultyProxy } from '../../test/helpers/faulty-proxy.ts'
import {
  createRepository,
  createTask,
  listRecords,
  registerCluster,
  taskOf,
  waitForRun,
} from '../../test/helpers/replication-calls.ts'
import { afterBytes } from '../../test/helpers/stop-places.ts'
import { smallFiles } from '../content.ts'
import { openPair, type Pair, putAll } from '../pair.ts'
import { atLeast, named, perSecond, type Scenario } from '../scenario.ts'
import { SMALL_BYTES } from '../stage.ts'

const POLL_MS = 20
const KIB = 1024

const durationOf = ({ startTime, endTime }: RecordInfo) => Date.parse(`${endTime}Z`) - Date.parse(`${startTime}Z`)
const newest = async (pair: Pair, key: string, signal: AbortSignal) => (await listRecords(pair.a, key, signal))[0]

/** A repository of these files, and a task for it that has not run. */
async function idleTask(
  pair: Pair,
  name: string,
  files: ReturnType<typeof smallFiles>,
  more: object,
  signal: AbortSignal,
) {
  const repository = `bench/${name}`
  await createRepository(pair.a, repository, signal)
  await putAll(pair.a, repository, files, signal)
  const sample = taskOf(name, repository, [pair.clusterId])
  const body = { ...sample, enabled: false, setting: { ...sample.setting, ...more } }
  return createTask(pair.a, body, signal)
}
const switchOn = (pair: Pair, key: string, signal: AbortSignal) =>
  pair.a.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)

const fairness: Scenario = {
  name: 'two-equal-tasks',
  title: 'Jain index of the bytes of two equal tasks to one target, when the first ends',
  async run({ dir, dialect, scale }, signal) {
    await using pair = await openPair({ name: 'two-equal-tasks', dir, dialect }, signal)
    const count = Math.ceil(20_000 * scale)
    const keys = []
    for (const [index, name] of ['one', 'two'].entries()) {
      keys.push(await idleTask(pair, name, smallFiles(count, SMALL_BYTES, 31 + index), {}, signal))
    }
    for (const key of keys) await switchOn(pair, key, signal)
    for (;;) {
      await sleep(POLL_MS, undefined, { signal })
      const records = await Promise.all(keys.map((key) => newest(pair, key, signal)))
      if (records.every((record) => record === undefined || record.status === 'RUNNING')) continue
      const [x, y] = records.map((record) => record?.replicatedBytes ?? 0) as [number, number]
      const value = (x + y) ** 2 / (2 * (x ** 2 + y ** 2))
      for (const key of keys) await waitForRun(pair.a, key, { runs: 1, pollMs: POLL_MS }, signal)
      return { ...named(this), value, unit: 'Jain', goals: [atLeast(value, 0.95, 'Jain')] }
    }
  },
}

const hangingTarget: Scenario = {
  name: 'hanging-target',
  title:
    'a task of 10,000 files beside 10 tasks to a target that takes connections and never answers: its rate, of that alone',
  async run({ dir, dialect, scale }, signal) {
    await using pair = await openPair({ name: 'hanging-target', dir, dialect }, signal)
    await using line = await faultyProxy(pair.serverB.url)
    const hung = await registerCluster(pair.a, { ...pair.serverB, name: 'hung', url: line.url }, signal)
    const count = Math.ceil(10_000 * scale)
    const [alone, beside] = [
      await idleTask(pair, 'alone', smallFiles(count, SMALL_BYTES, 41), {}, signal),
      await idleTask(pair, 'beside', smallFiles(count, SMALL_BYTES, 42), {}, signal),
    ]
    const rateOf = async (key: string) => {
      await switchOn(pair, key, signal)
      const record = await waitForRun(pair.a, key, { runs: 1, pollMs: POLL_MS }, signal)
      if (record.status !== 'SUCCESS') throw new Error(record.errorReason ?? 'failed')
      return perSecond(count, durationOf(record))
    }
    const raw = await rateOf(alone)
    const stuck: string[] = []
    for (let n = 0; n < 10; n++) {
      const sample = taskOf(`stuck ${n}`, 'bench/alone', [hung])
      const [object] = sample.replicaTaskObjects
      const objects = [{ ...object!, remoteRepoName: `stuck-${n}` }]
      stuck.push(await createTask(pair.a, { ...sample, replicaTaskObjects: objects, enabled: false }, signal))
    }
    const never = Promise.withResolvers<'cut'>()
    line.script(() => ({ at: afterBytes('request', 0), reached: () => never.promise }))
    for (const key of stuck) await switchOn(pair, key, signal)
    await sleep(1_000, undefined, { signal })
    const value = await rateOf(beside)
    for (const key of stuck) await pair.a.call('DELETE', `/replication/api/task/delete/${key}`, undefined, signal)
    never.resolve('cut')
    const goals = [{ text: `≥ 0.9 of its rate alone (${(value / raw).toFixed(2)})`, met: value >= 0.9 * raw }]
    return { ...named(this), value, unit: 'files/s', raw, goals }
  },
}

/** Bytes of requests that pass between the second and the seventh second of a run, each second apart. */
async function measuredRate(pair: Pair, key: string, bytesSoFar: () => number, signal: AbortSignal): Promise<number> {
  await switchOn(pair, key, signal)
  while (bytesSoFar() < 64 * KIB) await sleep(POLL_MS, undefined, { signal })
  await sleep(1_000, undefined, { signal })
  const [from, before] = [performance.now(), bytesSoFar()]
  await sleep(5_000, undefined, { signal })
  return perSecond(bytesSoFar() - before, performance.now() - from)
}

function rateLimit(streams: number, bytesPerSecond: number): Scenario {
  return {
    name: `rate-limit-${streams}`,
    title: `bytes a second with setting.rateLimit ${bytesPerSecond / 1e6} MB/s over ${streams} stream${streams > 1 ? 's' : ''}, over 5 s`,
    async run({ dir, dialect }, signal) {
      const env = { ENTREPOT_REPLICATION_STREAMS: String(streams), ENTREPOT_REPLICATION_MAX_STREAMS: String(streams) }
      await using pair = await openPair({ name: `rate-limit-${streams}`, dir, dialect, env }, signal)
      await using line = await faultyProxy(pair.serverB.url)
      const limited = await registerCluster(pair.a, { ...pair.serverB, name: 'limited', url: line.url }, signal)
      const sizeBytes = 16 * KIB
      const count = Math.ceil((bytesPerSecond * 8) / sizeBytes)
      const files = smallFiles(count, sizeBytes, 51)
      const through = { ...pair, clusterId: limited } as Pair
      const key = await idleTask(through, 'limited', files, { rateLimit: bytesPerSecond }, signal)
      const value = await measuredRate(pair, key, line.bodyBytes, signal)
      const off = value / bytesPerSecond - 1
      await waitForRun(pair.a, key, { runs: 1, pollMs: POLL_MS }, signal)
      const goals = [{ text: `within ± 3 % (${(off * 100).toFixed(1)} %)`, met: Math.abs(off) <= 0.03 }]
      return { ...named(this), value: value / 1e6, unit: 'MB/s', goals }
    },
  }
}

export const SHARING_SCENARIOS: readonly Scenario[] = [
  fairness,
  hangingTarget,
  rateLimit(8, 20_000_000),
  rateLimit(1, 4_000_000),
]
