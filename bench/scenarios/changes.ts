import { smallFiles } from '../content.ts'
import { atMost, memoryGoal } from '../measurement.ts'
import { haveSmallAtBoth, named, replicateSmall, type Scenario, usedBy } from '../scenario.ts'
import { SMALL } from '../stage.ts'

export const unchanged: Scenario = {
  name: 'unchanged',
  title: 'a second run with nothing changed',
  async run(stage) {
    await haveSmallAtBoth(stage)
    const run = await replicateSmall(stage)
    if (run.overview.success !== 0) throw new Error(`${run.overview.success} files were sent`)
    const goals = [atMost('ms', run.recordMs, 50), atMost('requests', run.targetRequests, 1)]
    return {
      ...named(this),
      value: run.recordMs,
      unit: 'ms',
      goals: [...goals, memoryGoal([run.a, run.b])],
      ...usedBy(run),
    }
  },
}

export const oneChanged: Scenario = {
  name: 'one-changed',
  title: 'one file changed of 10,000',
  async run(stage) {
    await haveSmallAtBoth(stage)
    const old = stage.small[Math.floor(stage.small.length / 2)]!.expected
    const [made] = smallFiles(1, old.sizeBytes, 3)
    const changed = { content: made!.content, expected: { ...made!.expected, path: old.path } }
    await stage.put(stage.a, SMALL, [changed])
    stage.smallNow.set(old.path, changed.expected)
    const run = await replicateSmall(stage)
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
