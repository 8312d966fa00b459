import { describe, it } from 'node:test'
import { killDuringRun, MOMENTS } from '../helpers/kill-during-run.ts'

/** Rounds over all moments; a moderate number here, long soaks are run by hand. */
const ROUNDS = Number(process.env.ENTREPOT_TEST_KILL_ROUNDS ?? 1)

for (const victim of ['a', 'b'] as const) {
  describe(`kill -9 of the ${victim === 'a' ? 'source' : 'target'} during a run`, () => {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const moment of MOMENTS) {
        const { name } = moment()
        it(`given it dies ${name}, when started again, then the run ends SUCCESS by itself, complete and counted once (round ${round})`, async (t) => {
          await killDuringRun({ victim, moment: moment() }, t.signal)
        })
      }
    }
  })
}
