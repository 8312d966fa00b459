import { randomInt } from 'node:crypto'
import { it } from 'node:test'
import { makePostgres } from '../helpers/databases.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'
import { soakRealTime } from '../helpers/real-time-soak.ts'

/** 1: what `npm run soak` does, 20,000 files, two of 500 MB and 100 kills. */
const SCALE = Number(process.env.ENTREPOT_TEST_SOAK_SCALE ?? 0.06)
const SEED = Number(process.env.ENTREPOT_TEST_CRASH_SEED ?? randomInt(1, 2 ** 31))

eachDialect('kill -9 while real-time, cron and manual tasks run side by side', (dialect) => {
  it('given either server dies at random moments, when all is up, then both sides are equal, no run hangs and records are exact', async (t) => {
    t.diagnostic(`seed ${SEED}: repeat with ENTREPOT_TEST_CRASH_SEED=${SEED}`)
    await using stack = new AsyncDisposableStack()
    const one = async (): Promise<Record<string, string>> =>
      dialect === 'sqlite' ? {} : { ENTREPOT_DATABASE: addressOf(stack.use(await makePostgres()).config) }
    const env = { a: await one(), b: await one() }
    const size = {
      smallFiles: Math.round(20_000 * SCALE),
      largeFiles: 2,
      largeBytes: Math.round(500_000_000 * SCALE),
      kills: Math.max(5, Math.round(100 * SCALE)),
      faults: 0,
    }
    const log = (line: string) => t.diagnostic(line)
    await soakRealTime({ ...size, seed: SEED, env, log }, t.signal)
  })
})
