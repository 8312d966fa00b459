import type { Api } from '../../test/helpers/api.ts'
import { createRepository } from '../../test/helpers/replication-calls.ts'
import { smallFiles } from '../content.ts'
import { atMost, memoryGoal } from '../measurement.ts'
import { openPair, putAll } from '../pair.ts'
import { shownTimes, startProbe } from '../probe.ts'
import { named, perSecond, type Scenario, usedBy } from '../scenario.ts'
import { SMALL_BYTES } from '../stage.ts'

const REPO = 'bench/run'
const PROBED = 'bench/probed'
const FILES = 100_000
const GOAL_P99_MS = 50

/** One client for each server, in a process of its own, asks for node details 100 times a second while the run goes on. */
export const readsDuringRun: Scenario = {
  name: 'reads-during-run',
  title: 'node details on both servers while 100,000 files of 4 KiB are replicated',
  async run({ dir, dialect, scale }, signal) {
    const files = smallFiles(Math.ceil(FILES * scale), SMALL_BYTES, 7)
    await using pair = await openPair({ name: 'reads-during-run', dir, dialect }, signal)
    await createRepository(pair.a, REPO, signal)
    const probed = files[0]!
    const probe = async (api: Api) => {
      await createRepository(api, PROBED, signal)
      await putAll(api, PROBED, [probed], signal)
      return () => startProbe(api, `/repository/api/node/detail/${PROBED}${probed.expected.path}`)
    }
    const probes = [await probe(pair.a), await probe(pair.b)]
    await putAll(pair.a, REPO, files, signal)
    let times: Awaited<ReturnType<ReturnType<typeof startProbe>['end']>>[] = []
    const run = await pair.replicate(
      REPO,
      files.map(({ expected }) => expected),
      async (work) => {
        const started = probes.map((start) => start())
        await work()
        times = await Promise.all(started.map((one) => one.end()))
      },
    )
    const [atA, atB] = times
    const value = Math.max(atA!.p99, atB!.p99)
    const speed = perSecond(files.length, run.recordMs).toFixed(0)
    const what = `${this.title}: at A ${shownTimes(atA!)}; at B ${shownTimes(atB!)}; the run made ${speed} files/s`
    const goals = [atMost('p99 ms', value, GOAL_P99_MS), memoryGoal([run.a, run.b])]
    return { ...named(this), what, value, unit: 'ms', goals, ...usedBy(run) }
  },
}
