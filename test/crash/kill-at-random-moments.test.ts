import { randomInt } from 'node:crypto'
import { it } from 'node:test'
import { makePostgres } from '../helpers/databases.ts'
import { killAtRandomMoments } from '../helpers/kill-at-random.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'

const MIB = 1024 * 1024
/**
 * 1: 20,000 small files, two of 1 GiB, 50 kills; a moderate part of it here, all by hand. Not below 0.03: large files must be
 * large enough to travel in parts.
 */
const SCALE = Number(process.env.ENTREPOT_TEST_CRASH_SCALE ?? 0.1)
const KILLS = Number(process.env.ENTREPOT_TEST_CRASH_KILLS ?? (SCALE < 1 ? 8 : 50))
/** Of all that is left to chance but the machine's own pace. */
const SEED = Number(process.env.ENTREPOT_TEST_CRASH_SEED ?? randomInt(1, 2 ** 31))

async function databases(dialect: TestDialect) {
  await using stack = new AsyncDisposableStack()
  const one = async (): Promise<Record<string, string>> =>
    dialect === 'sqlite' ? {} : { ENTREPOT_DATABASE: addressOf(stack.use(await makePostgres()).config) }
  const env = { a: await one(), b: await one() }
  const held = stack.move()
  return { env, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

eachDialect('kill -9 at random moments of one long run', (dialect) => {
  it(`given source or target dies ${KILLS} times, when each time it is started again, then the run ends SUCCESS by itself, complete and counted once, and what was safe is not sent again`, async (t) => {
    await using made = await databases(dialect)
    t.diagnostic(`seed ${SEED}: repeat with ENTREPOT_TEST_CRASH_SEED=${SEED}`)
    const size = { smallFiles: Math.round(20_000 * SCALE), largeFiles: 2, largeBytes: Math.round(1024 * MIB * SCALE) }
    const log = (line: string) => t.diagnostic(line)
    await killAtRandomMoments({ ...size, kills: KILLS, seed: SEED, env: made.env, log }, t.signal)
  })
})
