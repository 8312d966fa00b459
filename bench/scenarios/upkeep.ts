import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { numberChanges } from '../../src/metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createFingerprintUpkeep } from '../../src/metadata/fingerprints/upkeep.ts'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { findRepository } from '../../src/metadata/repositories/repositories.ts'
import { databasesFor } from '../postgres.ts'
import { named, perSecond, type Scenario } from '../scenario.ts'
import { SEEDED, seedNodes } from '../search-seed.ts'
import { uploader } from '../upload-writes.ts'

const WRITERS = 16
const SEEDED_FILES = 1_000
const TRANSACTIONS = 4_000
const ROUNDS = 3
const GATHER_MS = 5
const MOST_LOST = 0.15

/** Uploads of one file each, as far as the database goes: 16 at once, synchronous commit, one process as in a server. */
export const upkeepPostgres: Scenario = {
  name: 'upkeep-postgres',
  title: 'transactions of uploads by 16 writers, while the log is written, numbered and folded, beside none of that',
  async run({ scale }, signal) {
    await using stack = new AsyncDisposableStack()
    const [env] = await databasesFor('postgres', 1, stack)
    const db = stack.use(
      await openDatabase({ dialect: 'postgres', url: env!.ENTREPOT_DATABASE! }, { poolSize: WRITERS + 2 }),
    )
    await db.migrate()
    await seedNodes(db, SEEDED_FILES, () => {})
    const repository = (await findRepository(db.read, SEEDED.project, SEEDED.repo))!
    const upload = uploader(db, repository, 1)
    const count = Math.ceil(TRANSACTIONS * scale)
    const measure = async () => {
      const from = performance.now()
      await mapConcurrent(Array.from({ length: count }), WRITERS, upload, signal)
      return perSecond(count, performance.now() - from)
    }
    await measure()
    const [kept, plain]: [number[], number[]] = [[], []]
    // In turns: what the machine does meanwhile falls on both.
    for (let round = 0; round < ROUNDS; round++) {
      plain.push(await withoutLog(db, measure))
      kept.push(await withUpkeep(db, measure))
    }
    const [value, raw] = [median(kept), median(plain)]
    const lost = 1 - value / raw
    const goal = { text: `loses ≤ ${MOST_LOST * 100} % (${(lost * 100).toFixed(0)} %)`, met: lost <= MOST_LOST }
    return { ...named(this), value, unit: 'tx/s', raw, goals: [goal] }
  },
}

/** Rows of the log are thrown away by PostgreSQL itself. */
async function withoutLog<T>(db: MetadataDatabase, work: () => Promise<T>): Promise<T> {
  await sql`create rule no_log as on insert to change_log do instead nothing`.execute(db.read)
  try {
    return await work()
  } finally {
    await sql`drop rule no_log on change_log`.execute(db.read)
  }
}

/** What a server does besides: numbers each few milliseconds, folds five times a second. */
async function withUpkeep<T>(db: MetadataDatabase, work: () => Promise<T>): Promise<T> {
  const upkeep = createFingerprintUpkeep(db)
  let running = true
  const number = async () => {
    while (running) {
      await numberChanges(db)
      await sleep(GATHER_MS)
    }
  }
  const fold = async () => {
    while (running) {
      while (running && (await upkeep.step()) === 'more');
      await sleep(200)
    }
  }
  const jobs = Promise.all([number(), fold()])
  try {
    return await work()
  } finally {
    running = false
    await jobs
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
