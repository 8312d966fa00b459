import { setTimeout as sleep } from 'node:timers/promises'
import { differencesOf } from '../../demo/compare.ts'
import type { Api } from '../../test/helpers/api.ts'
import { createRepository, createTask, taskOf } from '../../test/helpers/replication-calls.ts'
import { startArrivals } from '../arrivals.ts'
import { type BenchFile, smallFiles } from '../content.ts'
import { atMost, memoryGoal } from '../measurement.ts'
import { openPair, type Pair, putAll } from '../pair.ts'
import { canRun, type Dialect } from '../postgres.ts'
import { atLeast, named, perSecond, type Scenario } from '../scenario.ts'
import { SMALL_BYTES } from '../stage.ts'

const REPO = 'bench/live'
const UPLOADS_PER_SECOND = 200
const SECONDS = 10
const STORED = 10_000
const POLL_MS = 20
const GOAL = { p50: 5, p99: 50, filesPerSecond: 5_000 }

/** A REAL_TIME task whose first file has arrived. */
async function liveTask(pair: Pair, signal: AbortSignal): Promise<string> {
  await createRepository(pair.a, REPO, signal)
  await createRepository(pair.b, REPO, signal)
  const [first] = smallFiles(1, SMALL_BYTES, 99)
  await putAll(pair.a, REPO, [{ ...first!, expected: { ...first!.expected, path: '/first' } }], signal)
  const task = { ...taskOf('bench live', REPO, [pair.clusterId]), replicaType: 'REAL_TIME' }
  const key = await createTask(pair.a, task, signal)
  while ((await countAt(pair.b, signal)) < 1) await sleep(POLL_MS, undefined, { signal })
  // Its back-fill has ended; what comes next is followed.
  await sleep(1_000, undefined, { signal })
  return key
}

async function countAt(api: Api, signal: AbortSignal): Promise<number> {
  const path = `/repository/api/node/page/${REPO}/?deep=true&includeFolder=false&pageNumber=1&pageSize=1`
  return (await api.call<{ totalRecords: number }>('GET', path, undefined, signal)).totalRecords
}

function latency(name: string, dialect: Dialect): Scenario {
  return {
    name,
    title: `from a committed upload to the file at the target, ${UPLOADS_PER_SECOND} uploads/s, ${dialect}`,
    async run({ dir, scale }, signal) {
      const count = Math.ceil(UPLOADS_PER_SECOND * SECONDS * scale)
      const files = smallFiles(count, SMALL_BYTES, 21)
      await using pair = await openPair({ name, dir, dialect }, signal)
      await liveTask(pair, signal)
      const arrivals = startArrivals(pair.b, REPO)
      const measured = await pair.measure(async () => {
        const from = performance.now()
        const uploads: Promise<void>[] = []
        for (const [index, file] of files.entries()) {
          const due = from + (index * 1_000) / UPLOADS_PER_SECOND
          if (due > performance.now()) await sleep(due - performance.now(), undefined, { signal })
          uploads.push(putAll(pair.a, REPO, [file], signal).then(() => arrivals.expect(file.expected.path)))
        }
        await Promise.all(uploads)
        await arrivals.all()
      })
      const { p50, p99, longest } = await arrivals.end()
      const shown = `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, longest ${longest.toFixed(1)} ms`
      const goals = dialect === 'sqlite' ? [atMost('p50 ms', p50, GOAL.p50), atMost('p99 ms', p99, GOAL.p99)] : []
      const { a, b } = measured
      return { ...named(this), what: `${this.title}: ${shown}`, value: p50, unit: 'ms', goals, a, b }
    },
  }
}

function resume(name: string, dialect: Dialect): Scenario {
  return {
    name,
    title: `${STORED} files of 4 KiB stored while a real-time task was off, from its switch on until all are there, ${dialect}`,
    async run({ dir, scale }, signal) {
      const files: BenchFile[] = smallFiles(Math.ceil(STORED * scale), SMALL_BYTES, 22)
      await using pair = await openPair({ name, dir, dialect }, signal)
      const key = await liveTask(pair, signal)
      const toggle = () => pair.a.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
      await toggle()
      await putAll(pair.a, REPO, files, signal)
      let ms = 0
      const { a, b } = await pair.measure(async () => {
        const from = performance.now()
        await toggle()
        while ((await countAt(pair.b, signal)) < files.length + 1) await sleep(POLL_MS, undefined, { signal })
        ms = performance.now() - from
      })
      const expected = files.map((file) => file.expected)
      const wrong = (await differencesOf(pair.b, REPO, expected, signal)).filter((line) => !line.includes('/first'))
      if (wrong.length > 0) throw new Error(`the target differs: ${wrong.slice(0, 5).join('; ')}`)
      const value = perSecond(files.length, ms)
      const goals = dialect === 'sqlite' ? [atLeast(value, GOAL.filesPerSecond, 'files/s')] : []
      return { ...named(this), value, unit: 'files/s', goals: [...goals, memoryGoal([a, b])], a, b }
    },
  }
}

export const REAL_TIME_SCENARIOS: readonly Scenario[] = [
  latency('real-time-latency', 'sqlite'),
  resume('real-time-resume', 'sqlite'),
  ...(canRun('postgres')
    ? [latency('real-time-latency-postgres', 'postgres'), resume('real-time-resume-postgres', 'postgres')]
    : []),
]
