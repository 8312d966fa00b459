import { it } from 'node:test'
import { killDuringRun, MOMENTS } from '../helpers/kill-during-run.ts'

it('case 17: given the source is killed after the target committed a batch, when started again, then the same record ends SUCCESS with no detail missing or doubled', async (t) => {
  await killDuringRun({ victim: 'a', moment: MOMENTS.committed() }, t.signal)
})

it('given the target is killed in the middle of a large file, when started again, then the run ends SUCCESS by itself', async (t) => {
  await killDuringRun({ victim: 'b', moment: MOMENTS.parts() }, t.signal)
})
