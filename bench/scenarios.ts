import { wrongDownloads } from '../demo/compare.ts'
import type { Api } from '../test/helpers/api.ts'
import { smallFiles } from './content.ts'
import { atMost, type Measurement, memoryGoal } from './measurement.ts'
import { type Ask, getRequest, readAll } from './read-load.ts'
import type { Run } from './replicator.ts'
import { CONNECTIONS, LARGE, SMALL, type Stage } from './stage.ts'
import { TREE_SCENARIOS } from './trees.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  run(stage: Stage, signal: AbortSignal): Promise<Measurement>
}

const MIB = 1024 * 1024
const GOAL_OF_UPLOAD = 0.6

const perSecond = (amount: number, ms: number): number => amount / (ms / 1000)

/** Steps that scenarios build on; the names tell `Stage.once` what was done. */
const haveLarge = (stage: Stage) => stage.once('large at A', () => stage.put(stage.a, LARGE, [stage.large]))
const haveLargeRaw = (stage: Stage) => stage.once('large at raw', () => stage.put(stage.raw, LARGE, [stage.large]))
const haveSmall = (stage: Stage) => stage.once('small at A', () => stage.put(stage.a, SMALL, stage.small))
const replicateSmallFiles = (stage: Stage) => stage.replicate(SMALL, [...stage.smallNow.values()])
async function haveSmallAtBoth(stage: Stage): Promise<void> {
  await haveSmall(stage)
  await stage.once('small at B', () => replicateSmallFiles(stage))
}

const uploadLarge: Scenario = {
  name: 'upload-large',
  title: 'one upload of 1 GiB: hashing and fsync included',
  async run(stage) {
    const mib = stage.large.expected.sizeBytes / MIB
    const raw = await stage.measure(() => haveLargeRaw(stage))
    const ours = await stage.measure(() => haveLarge(stage))
    const [value, limit] = [perSecond(mib, ours.ms), perSecond(mib, raw.ms)]
    return { ...named(this), value, unit: 'MiB/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}

const downloadLarge: Scenario = {
  name: 'download-large',
  title: 'one download of 1 GiB',
  async run(stage, signal) {
    const { path, sizeBytes } = stage.large.expected
    await haveLargeRaw(stage)
    await haveLarge(stage)
    const fetchAll = async (api: Api) => {
      let received = 0
      for await (const chunk of await api.download(LARGE, path, signal)) received += (chunk as Buffer).length
      if (received !== sizeBytes) throw new Error(`${received} bytes arrived instead of ${sizeBytes}`)
    }
    const raw = await stage.measure(() => fetchAll(stage.raw))
    const ours = await stage.measure(() => fetchAll(stage.a))
    const wrong = await wrongDownloads(stage.a, LARGE, [stage.large.expected], signal)
    if (wrong.length > 0) throw new Error(wrong.join('; '))
    const [value, limit] = [perSecond(sizeBytes / MIB, ours.ms), perSecond(sizeBytes / MIB, raw.ms)]
    return { ...named(this), value, unit: 'MiB/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}

const uploadSmall: Scenario = {
  name: 'upload-small',
  title: `uploads of 4 KiB over ${CONNECTIONS} connections`,
  async run(stage) {
    const raw = await stage.measure(() => stage.put(stage.raw, SMALL, stage.small))
    const ours = await stage.measure(() => haveSmall(stage))
    const [value, limit] = [perSecond(stage.small.length, ours.ms), perSecond(stage.small.length, raw.ms)]
    return { ...named(this), value, unit: 'uploads/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}

const replicateSmall: Scenario = {
  name: 'replicate-small',
  title: 'replication of the files of 4 KiB',
  async run(stage) {
    await haveSmall(stage)
    const run = await replicateSmallFiles(stage)
    await stage.once('small at B', async () => {})
    const value = perSecond(stage.small.length, run.recordMs)
    return { ...named(this), value, unit: 'files/s', goals: [memoryGoal([run.a, run.b])], ...usedBy(run) }
  },
}

const replicateLarge: Scenario = {
  name: 'replicate-large',
  title: 'replication of the file of 1 GiB',
  async run(stage) {
    await haveLarge(stage)
    const run = await stage.replicate(LARGE, [stage.large.expected])
    const value = perSecond(stage.large.expected.sizeBytes / MIB, run.recordMs)
    return { ...named(this), value, unit: 'MiB/s', goals: [memoryGoal([run.a, run.b])], ...usedBy(run) }
  },
}

const unchanged: Scenario = {
  name: 'unchanged',
  title: 'a second run with nothing changed',
  async run(stage) {
    await haveSmallAtBoth(stage)
    const run = await replicateSmallFiles(stage)
    if (run.overview.success !== 0) throw new Error(`${run.overview.success} files were sent`)
    const goals = [atMost('ms', run.recordMs, 50), atMost('requests', run.targetRequests, 3)]
    return {
      ...named(this),
      value: run.recordMs,
      unit: 'ms',
      goals: [...goals, memoryGoal([run.a, run.b])],
      ...usedBy(run),
    }
  },
}

const oneChanged: Scenario = {
  name: 'one-changed',
  title: 'one file changed of 10,000',
  async run(stage) {
    await haveSmallAtBoth(stage)
    const old = stage.small[Math.floor(stage.small.length / 2)]!.expected
    const [made] = smallFiles(1, old.sizeBytes, 3)
    const changed = { content: made!.content, expected: { ...made!.expected, path: old.path } }
    await stage.put(stage.a, SMALL, [changed])
    stage.smallNow.set(old.path, changed.expected)
    const run = await replicateSmallFiles(stage)
    if (run.overview.success !== 1) throw new Error(`${run.overview.success} files were sent`)
    const goals = [atMost('ms', run.recordMs, 100), atMost('requests', run.targetRequests, 10)]
    return {
      ...named(this),
      value: run.recordMs,
      unit: 'ms',
      goals: [...goals, memoryGoal([run.a, run.b])],
      ...usedBy(run),
    }
  },
}

const READERS = 32
const READS = 60_000
/** Different files that are read over and over. */
const READ_FILES = 1_000
const GOAL_READS_PER_SECOND = 10_000

/** Reads of whole files, and with `details` as many of their node details in turns. Every answer is compared. */
function readsOf(stage: Stage, api: Api, kinds: readonly ('details' | 'content')[], count: number): Ask[] {
  const headers = { authorization: api.authorization }
  const asks = stage.small.slice(0, READ_FILES).flatMap(({ expected: { path, sha256 }, content }): Ask[] =>
    kinds.map((kind) =>
      kind === 'details'
        ? {
            bytes: getRequest(`/repository/api/node/detail/${SMALL}${path}`, headers),
            check: (body) => (body.includes(sha256) ? undefined : `${path}: another digest`),
          }
        : {
            bytes: getRequest(`/generic/${SMALL}${path}`, headers),
            check: (body) => (body.equals(content as Buffer) ? undefined : `${path}: other content`),
          },
    ),
  )
  return Array.from({ length: count }, (_, index) => asks[index % asks.length]!)
}

const readSmall: Scenario = {
  name: 'read-small',
  title: `node details and downloads of ${READ_FILES} files of 4 KiB, in turns, authenticated, over ${READERS} connections`,
  async run(stage) {
    await stage.once('small at raw', () => stage.put(stage.raw, SMALL, stage.small))
    await haveSmall(stage)
    const count = Math.ceil((READS * stage.small.length) / 10_000)
    const load = (api: Api, kinds: readonly ('details' | 'content')[], reads: number) =>
      readAll(Number(new URL(api.url).port), readsOf(stage, api, kinds, reads), READERS)
    await load(stage.a, ['details', 'content'], Math.ceil(count / 5))
    const raw = await stage.measure(() => load(stage.raw, ['content'], count))
    const ours = await stage.measure(() => load(stage.a, ['details', 'content'], count))
    const [value, limit] = [perSecond(count, ours.ms), perSecond(count, raw.ms)]
    const goal = { text: `≥ ${GOAL_READS_PER_SECOND}/s`, met: value >= GOAL_READS_PER_SECOND }
    return { ...named(this), value, unit: 'reads/s', raw: limit, goals: [goal, memoryGoal([ours.a])], a: ours.a }
  },
}

const named = ({ name, title }: Scenario) => ({ scenario: name, what: title })
const usedBy = ({ a, b, targetRequests, seenMs }: Run) => ({ a, b, targetRequests, seenMs })

/** In an order in which each finds what the one before it left. */
export const SCENARIOS: readonly Scenario[] = [
  uploadLarge,
  downloadLarge,
  uploadSmall,
  readSmall,
  replicateSmall,
  replicateLarge,
  unchanged,
  oneChanged,
  ...TREE_SCENARIOS,
]

/** The goal that takes two scenarios: 1 GiB travels at 0.6 of the speed at which one client uploads it, or faster. */
export function withReplicationGoal(measurements: readonly Measurement[]): Measurement[] {
  const upload = measurements.find(({ scenario }) => scenario === uploadLarge.name)
  return measurements.map((measurement) => {
    if (measurement.scenario !== replicateLarge.name || upload === undefined) return measurement
    const ratio = measurement.value / upload.value
    const goal = { text: `≥ ${GOAL_OF_UPLOAD} of the upload (${ratio.toFixed(2)})`, met: ratio >= GOAL_OF_UPLOAD }
    return { ...measurement, goals: [goal, ...measurement.goals] }
  })
}
