import { describe, it } from 'node:test'
import { killDuringRun, MOMENTS } from '../helpers/kill-during-run.ts'

const WHILE = [MOMENTS.sending, MOMENTS.acknowledged, MOMENTS.parts]

describe('SIGTERM during a run', () => {
  for (const victim of ['a', 'b'] as const) {
    for (const moment of WHILE) {
      const side = victim === 'a' ? 'source' : 'target'
      it(`given the ${side} is asked to stop ${moment().name}, when started again, then it had ended with code 0 and the run ends SUCCESS`, async (t) => {
        await killDuringRun({ victim, moment: moment(), how: 'SIGTERM' }, t.signal)
      })
    }
  }
})
