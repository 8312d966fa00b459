import { describe, it } from 'node:test'
import { makePostgres } from '../helpers/databases.ts'
import { afterBoundedStream, killDuringRun, MOMENTS, type Moment } from '../helpers/kill-during-run.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'

/** Rounds over all moments; a moderate number here, long soaks are run by hand. */
const ROUNDS = Number(process.env.ENTREPOT_TEST_KILL_ROUNDS ?? 1)

/** Settings of a server's database; an empty one of its own on PostgreSQL. */
async function database(dialect: TestDialect): Promise<AsyncDisposable & { readonly env: Record<string, string> }> {
  if (dialect === 'sqlite') return { env: {}, [Symbol.asyncDispose]: async () => {} }
  const made = await makePostgres()
  return {
    env: { ENTREPOT_DATABASE: addressOf(made.config) },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  }
}

for (const victim of ['a', 'b'] as const) {
  eachDialect(`kill -9 of the ${victim === 'a' ? 'source' : 'target'} during a run`, (dialect) => {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const moment of Object.values<() => Moment>(MOMENTS)) {
        const { name } = moment()
        it(`given it dies ${name}, when started again, then the run ends SUCCESS by itself, complete and counted once (round ${round})`, async (t) => {
          await using source = await database(dialect)
          await using target = await database(dialect)
          await killDuringRun({ victim, moment: moment(), env: source.env, targetEnv: target.env }, t.signal)
        })
      }
    }
  })
}

describe('kill -9 during a run behind a proxy that buffers', () => {
  for (const victim of ['a', 'b'] as const) {
    it(`given ${victim === 'a' ? 'the source' : 'the target'} dies after a batch was committed, when started again, then the run ends SUCCESS by itself, complete and counted once`, async (t) => {
      await killDuringRun({ victim, moment: afterBoundedStream(), line: 'buffering' }, t.signal)
    })
  }
})
