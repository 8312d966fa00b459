import { join } from 'node:path'
import { sql } from 'kysely'
import { digestOfBytes } from '../../src/core/digest.ts'
import { contentLanes, metadataLanes } from '../../src/core/lanes.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createFingerprintUpkeep } from '../../src/metadata/fingerprints/upkeep.ts'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { findRepository } from '../../src/metadata/repositories/repositories.ts'
import { watchHolds } from '../holds.ts'
import { atMost } from '../measurement.ts'
import { named, type Scenario } from '../scenario.ts'
import { SEEDED, seedNodes } from '../search-seed.ts'
import { uploader } from '../upload-writes.ts'

const SEEDED_FILES = 100_000
const UPLOADS = 10_000
/** As uploads that come at once share a transaction. */
const FILES_PER_TRANSACTION = 10
const ROUNDS = 5
const MOST_MICROS = 15
const MOST_HOLD_MS = 20

/** CPU of all threads: what else the machine does changes the time that passes far more. */
export const upkeepSqlite: Scenario = {
  name: 'upkeep-sqlite',
  title: 'CPU per upload for row hashes, log and folding on SQLite: with them less without',
  async run({ dir, scale }) {
    await using db = await openDatabase({ dialect: 'sqlite', file: join(dir, 'upkeep.db') })
    await db.migrate()
    await seedNodes(db, SEEDED_FILES, () => {})
    const fold = folder(db)
    await fold()
    const repository = (await findRepository(db.read, SEEDED.project, SEEDED.repo))!
    const upload = uploader(db, repository, FILES_PER_TRANSACTION)
    const count = Math.max(FILES_PER_TRANSACTION, Math.round(UPLOADS * scale))
    const uploads = async () => {
      for (let done = 0; done < count; done += FILES_PER_TRANSACTION) await upload()
    }
    await uploads()
    await fold()
    const [plain, logged, folded]: number[][] = [[], [], []]
    let longestHoldMs = 0
    // In turns: what the machine does meanwhile falls on both.
    for (let round = 0; round < ROUNDS; round++) {
      plain!.push((await withoutLog(db, () => cpuMicros(uploads))) / count)
      logged!.push((await cpuMicros(uploads)) / count)
      const holds = watchHolds()
      folded!.push((await cpuMicros(fold)) / count)
      longestHoldMs = Math.max(longestHoldMs, holds.end())
    }
    const hashing = (await cpuMicros(async () => hashRows(count))) / count
    const [logging, folding] = [median(logged!) - median(plain!), median(folded!)]
    const value = hashing + logging + folding
    const parts = `hashes ${hashing.toFixed(0)}, log ${logging.toFixed(0)}, folding beside ${folding.toFixed(0)}`
    const goals = [
      { text: `${MOST_MICROS} µs an upload at most (${parts})`, met: value <= MOST_MICROS },
      atMost('ms that a fold holds the thread', Math.round(longestHoldMs), MOST_HOLD_MS),
    ]
    return { ...named(this), value, unit: 'µs', raw: median(plain!), goals }
  },
}

/** Folds until nothing is left. */
function folder(db: MetadataDatabase) {
  const upkeep = createFingerprintUpkeep(db)
  return async (): Promise<void> => {
    while ((await upkeep.step()) !== 'idle');
  }
}

/** Rows of the log are thrown away by SQLite itself. */
async function withoutLog<T>(db: MetadataDatabase, work: () => Promise<T>): Promise<T> {
  const run = (statement: string) => db.transact((trx) => sql.raw(statement).execute(trx))
  await run('create trigger no_log before insert on change_log begin select raise(ignore); end')
  try {
    return await work()
  } finally {
    await run('drop trigger no_log')
  }
}

/** What nodes have in their columns either way, and uploads would not compute without fingerprints. */
function hashRows(count: number): void {
  const digest = digestOfBytes('content')
  for (let n = 0; n < count; n++) {
    const path = `/upkeep/d${n % 500}/file-${n}.bin`
    contentLanes(path, digest, n)
    metadataLanes(path, [])
  }
}

async function cpuMicros(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
