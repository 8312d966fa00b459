import { it } from 'node:test'
import { makePostgres } from '../helpers/databases.ts'
import { killDuringRun, MOMENTS } from '../helpers/kill-during-run.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'

eachDialect('kill -9 of the source', (dialect) => {
  it('case 17: given it is killed after the target committed a batch, when started again, then the same record ends SUCCESS with no detail missing or doubled', async (t) => {
    await using postgres = dialect === 'postgres' ? await makePostgres() : undefined
    const env = postgres === undefined ? {} : { ENTREPOT_DATABASE: addressOf(postgres.config) }
    await killDuringRun({ victim: 'a', moment: MOMENTS.committed(), env }, t.signal)
  })
})

it('given the target is killed in the middle of a large file, when started again, then the run ends SUCCESS by itself', async (t) => {
  await killDuringRun({ victim: 'b', moment: MOMENTS.parts() }, t.signal)
})
