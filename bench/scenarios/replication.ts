import { createRepository } from '../../test/helpers/replication-calls.ts'
import { memoryGoal } from '../measurement.ts'
import { openPair, putAll } from '../pair.ts'
import { canRun, type Dialect } from '../postgres.ts'
import { atLeast, haveLarge, MIB, named, perSecond, type Scenario, usedBy } from '../scenario.ts'
import { LARGE, SMALL } from '../stage.ts'

/** Files a second, on two quiet cores. */
const GOALS = { 1: 8_000, 4: 12_000 } as const

/** As many streams from the beginning to the end: what the controller would choose is no part of the question. */
const fixedStreams = (streams: number) => ({
  ENTREPOT_REPLICATION_STREAMS: String(streams),
  ENTREPOT_REPLICATION_MAX_STREAMS: String(streams),
})

/** On servers of their own, since the number of streams is a setting. */
function replicateSmall(name: string, dialect: Dialect, streams: keyof typeof GOALS): Scenario {
  return {
    name,
    title: `replication of the files of 4 KiB, ${streams} stream${streams === 1 ? '' : 's'}, ${dialect}`,
    async run(stage, signal) {
      const env = fixedStreams(streams)
      await using pair = await openPair({ name, dir: stage.dir, dialect, env }, signal)
      await createRepository(pair.a, SMALL, signal)
      await putAll(pair.a, SMALL, stage.small, signal)
      const run = await pair.replicate(
        SMALL,
        stage.small.map(({ expected }) => expected),
      )
      const value = perSecond(stage.small.length, run.recordMs)
      const goals = dialect === 'sqlite' ? [atLeast(value, GOALS[streams], 'files/s')] : []
      return { ...named(this), value, unit: 'files/s', goals: [...goals, memoryGoal([run.a, run.b])], ...usedBy(run) }
    },
  }
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

export const REPLICATION_SCENARIOS: readonly Scenario[] = [
  replicateSmall('replicate-small', 'sqlite', 1),
  replicateSmall('replicate-small-4', 'sqlite', 4),
  ...(canRun('postgres') ? [replicateSmall('replicate-small-postgres', 'postgres', 4)] : []),
  replicateLarge,
]
