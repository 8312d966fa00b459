import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makePostgres, skipReason } from '../helpers/databases.ts'
import { killDuringRun, MOMENTS } from '../helpers/kill-during-run.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const WHILE = [MOMENTS.begun, MOMENTS.committed]
/** Short, so that the other node need not wait long for the dead one's leases. */
const LEASE_MS = 2_000

describe('several nodes on one PostgreSQL and one blob directory', { skip: skipReason() }, () => {
  for (const moment of WHILE) {
    const { name } = moment()
    it(`given a node dies ${name}, when its leases have ended, then another node ends the run`, async (t) => {
      await using db = await makePostgres()
      assert.ok(db.config.dialect === 'postgres')
      const env = {
        ENTREPOT_DATABASE: db.config.url,
        ENTREPOT_SECRET_KEY: 'a passphrase that all nodes share',
        ENTREPOT_REPLICATION_LEASE_MS: String(LEASE_MS),
      }
      await killDuringRun({ victim: 'a', moment: moment(), env, successor: 'another node' }, t.signal)
    })
    it(`given a node dies ${name}, when it is started again, then it goes on at once`, async (t) => {
      await using db = await makePostgres()
      assert.ok(db.config.dialect === 'postgres')
      await killDuringRun({ victim: 'a', moment: moment(), env: { ENTREPOT_DATABASE: db.config.url } }, t.signal)
    })
  }
})

it('given a data directory in use, when a second process starts on it, then it is refused with a clear message', async (t) => {
  await using dir = await tempDir()
  await using first = await startServer({ name: 'first', dataDir: dir.file('data') }, t.signal)
  await assert.rejects(
    startServer({ name: 'second', dataDir: first.dataDir, logFile: dir.file('second.log') }, t.signal),
    (error) => {
      assert.match((error as Error).message, /data directory|in use/i)
      assert.doesNotMatch((error as Error).message, /\n\s+at /)
      return true
    },
  )
})
