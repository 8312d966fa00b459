import { randomInt } from 'node:crypto'
import { it } from 'node:test'
import { makePostgres } from '../helpers/databases.ts'
import { seededRandom } from '../helpers/ids.ts'
import { killBackups } from '../helpers/kill-backups.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'

const MIB = 1024 * 1024
/** 1: 20,000 files and 50 kills; a moderate part of it here, all by hand. */
const SCALE = Number(process.env.ENTREPOT_TEST_CRASH_SCALE ?? 0.1)
const KILLS = Number(process.env.ENTREPOT_TEST_CRASH_KILLS ?? (SCALE < 1 ? 12 : 50))
const SEED = Number(process.env.ENTREPOT_TEST_CRASH_SEED ?? randomInt(1, 2 ** 31))

eachDialect('kill -9 in backups and restores', (dialect) => {
  it(`case 29: given ${KILLS} kills at random moments, when it is back, then nothing is RUNNING, no half archive is seen, the next run is whole, and verify finds nothing`, async (t) => {
    await using stack = new AsyncDisposableStack()
    const env: Record<string, string> =
      dialect === 'sqlite' ? {} : { ENTREPOT_DATABASE: addressOf(stack.use(await makePostgres()).config) }
    t.diagnostic(`seed ${SEED}: repeat with ENTREPOT_TEST_CRASH_SEED=${SEED}`)
    const size = { smallFiles: Math.round(20_000 * SCALE), largeFiles: 4, largeBytes: Math.round(16 * MIB * SCALE) }
    await killBackups(
      { ...size, kills: KILLS, random: seededRandom(SEED), env, log: (line) => t.diagnostic(line) },
      t.signal,
    )
  })
})
