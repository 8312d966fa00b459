// What it costs to find where two repositories of a million files differ, both sides in this process, without HTTP between them.
import { copyFile, mkdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { sql } from 'kysely'
import { table } from '../demo/table.ts'
import { addSums, EMPTY_SUM, type FingerprintRow, type RangeSum, sumOfRow } from '../src/core/fingerprint.ts'
import { EVERY_PATH } from '../src/core/path-range.ts'
import { appendChanges } from '../src/metadata/changes/change-log.ts'
import { numberChanges } from '../src/metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../src/metadata/database.ts'
import { createFingerprints } from '../src/metadata/fingerprints/fingerprints.ts'
import { forgetSums } from '../src/metadata/fingerprints/fold-state.ts'
import { createFingerprintUpkeep } from '../src/metadata/fingerprints/upkeep.ts'
import { openDatabase } from '../src/metadata/open-database.ts'
import { answerRecon } from '../src/replication/recon/answer.ts'
import { type Differences, type LedgerEntry, reconcile } from '../src/replication/recon/reconcile.ts'
import { repositoryFingerprints } from '../src/replication/recon/repository-fingerprints.ts'
import { atMost, type Goal } from './measurement.ts'

const HELP = `Measures reconciliation on two SQLite databases.

  node bench/reconciliation.ts
  node bench/reconciliation.ts --files 100000    fewer files
  node bench/reconciliation.ts --data DIR        where the databases are kept for the next run`

const ROUNDS = 5
const DIFFERENCES = 10
const ACCEPTED = 1_000
const START_MS = 1_767_225_600_000
export interface ReconciliationFigure {
  readonly what: string
  /** Median, wall clock, both sides. */
  readonly ms: number
  /** Of the process with its threads, both sides. */
  readonly cpuMs: number
  readonly bytes: number
  readonly trips: number
  readonly goals: readonly Goal[]
}

/** @param dir holds the databases; they are made when they are missing. */
export async function measureReconciliation(
  dir: string,
  files: number,
  log: (line: string) => void,
): Promise<ReconciliationFigure[]> {
  const seed = join(dir, `seed-${files}.db`)
  await mkdir(dir, { recursive: true })
  if (!(await exists(seed))) await makeSeed(seed, files, log)
  await using here = await openCopy(seed, join(dir, 'source.db'))
  await using there = await openCopy(seed, join(dir, 'target.db'))
  const figures = [
    await measure(here, there, [], `${files} files, nothing changed`, { found: 0, ms: 50, bytes: 13_000, trips: 1 }),
  ]
  const ledger = await change(there, scattered(files, DIFFERENCES, 1))
  const few = { found: DIFFERENCES, ms: 150, bytes: 35_000, trips: 3 }
  figures.push(await measure(here, there, [], `${DIFFERENCES} differences`, few))
  const all = [...ledger, ...(await change(there, scattered(files, ACCEPTED - DIFFERENCES, 3)))]
  const accepted = { found: 0, ms: 50, bytes: 13_000, trips: 1 }
  figures.push(await measure(here, there, all, `${all.length} accepted differences`, accepted))
  return figures
}

interface Expected {
  readonly found: number
  readonly ms: number
  readonly bytes: number
  readonly trips: number
}

async function measure(
  here: MetadataDatabase,
  there: MetadataDatabase,
  ledger: readonly LedgerEntry[],
  what: string,
  expected: Expected,
): Promise<ReconciliationFigure> {
  const local = repositoryFingerprints(createFingerprints(here), await repositoryId(here))
  const target = repositoryFingerprints(createFingerprints(there), await repositoryId(there))
  const ask = (message: Buffer, signal: AbortSignal) => answerRecon(message, target, signal)
  const never = new AbortController().signal
  const run = () => reconcile({ local, ask, scope: [EVERY_PATH], compared: 'content+metadata', ledger }, never)
  await run()
  const times: number[] = []
  const cpu = process.cpuUsage()
  let found: Differences | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now()
    found = await run()
    times.push(performance.now() - begun)
  }
  const used = process.cpuUsage(cpu)
  const { rounds: trips, sentBytes, receivedBytes, missing, differing, foreign } = found!
  const names = missing.length + differing.length + foreign.length
  if (names !== expected.found) throw new Error(`${what}: ${names} paths were named, not ${expected.found}`)
  const ms = times.sort((a, b) => a - b)[ROUNDS >> 1]!
  const bytes = sentBytes + receivedBytes
  const goals = [
    atMost('ms', ms, expected.ms),
    atMost('bytes', bytes, expected.bytes),
    atMost('trips', trips, expected.trips),
  ]
  return { what, ms, cpuMs: (used.user + used.system) / 1_000 / ROUNDS, bytes, trips, goals }
}

/** Spread over the whole tree; others for another `first`. */
const scattered = (files: number, count: number, first: number): number[] =>
  Array.from({ length: count }, (_, n) => Math.floor((n * files) / count) + first)

/** Two in four get other content, one goes, one comes beside it. @returns what a ledger would hold of them. */
async function change(db: MetadataDatabase, numbers: readonly number[]): Promise<LedgerEntry[]> {
  const repoId = await repositoryId(db)
  const ledger: LedgerEntry[] = []
  await db.transact(async (trx) => {
    for (const [index, n] of numbers.entries()) {
      const { path, ...seeded } = seededRow(n)
      const kind = index % 4
      const at = kind === 3 ? `${path}.new` : path
      const before = kind === 3 ? undefined : seeded
      const after = kind === 2 ? undefined : { content: [n, 1, 2, 3] as const, metadata: seeded.metadata }
      const where = sql`where repo_id = ${repoId} and path = ${at} and deleted_at is null`
      if (after === undefined) await sql`delete from node ${where}`.execute(trx)
      else if (before === undefined)
        await insertRows(trx, repoId, sql`select ${sql.lit(n)} as n`, '.new', after.content)
      else await sql`update node set c0 = ${n}, c1 = 1, c2 = 2, c3 = 3 ${where}`.execute(trx)
      await appendChanges(trx, [
        { repoId, path: at, op: 3, origin: 0, viaLink: null, at: START_MS, before, after } as never,
      ])
      ledger.push({ path: at, delta: addSums(sumOf(after), negative(sumOf(before))) })
    }
  })
  await settle(db)
  return ledger
}

type Lanes = Omit<FingerprintRow, 'path'>
const sumOf = (row: Lanes | undefined): RangeSum => (row === undefined ? EMPTY_SUM : sumOfRow(row))
const negative = ({ rows, content: [a, b, c, d], metadata: [e, f, g, h] }: RangeSum): RangeSum => ({
  rows: -rows,
  content: [-a, -b, -c, -d],
  metadata: [-e, -f, -g, -h],
})

/** Ten files to a version, twenty versions to an artifact, 25 artifacts to a group. */
function seededRow(n: number): FingerprintRow {
  const [artifact, version] = [Math.floor(n / 200), Math.floor(n / 10) % 20]
  const name = `artifact-${String(artifact).padStart(5, '0')}`
  const group = `group-${String(Math.floor(n / 5_000)).padStart(4, '0')}`
  const lane = (factor: number) => ((n * factor) % 2_147_483_647) - 1_073_741_824
  return {
    path: `/com/example/${group}/${name}/1.${version}.0/${name}-1.${version}.0-${n % 10}.jar`,
    content: [lane(48_271), lane(69_621), lane(16_807), lane(39_373)],
    metadata: [lane(40_692), 0, 0, 0],
  }
}

async function makeSeed(file: string, files: number, log: (line: string) => void): Promise<void> {
  {
    await using db = await openDatabase({ dialect: 'sqlite', file: `${file}.new` })
    await db.migrate()
    const repoId = await db.transact(async (trx) => {
      const who = { created_by: 'bench', created_at: START_MS, modified_by: 'bench', modified_at: START_MS }
      await trx
        .insertInto('project')
        .values({ name: 'bench', display_name: 'bench', description: '', metadata: '[]', ...who })
        .execute()
      const { id } = await trx
        .insertInto('repository')
        .values({
          ...{ project: 'bench', name: 'files', type: 'GENERIC', category: 'LOCAL', public: 0, description: null },
          ...{ display_name: null, configuration: '{}', quota: null, epoch: 'bench', floor_seq: 0, deleted_at: null },
          ...who,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      return id
    })
    await db.transact(async (trx) => {
      const numbers = sql`with recursive numbers (n) as (values (0) union all select n + 1 from numbers where n < ${sql.lit(files - 1)})
        select n from numbers`
      await insertRows(trx, repoId, numbers, '')
      await forgetSums(trx, repoId)
    })
    log(`${files} files seeded`)
    await settle(db)
    log('their sums are built')
  }
  await copyFile(`${file}.new`, file)
  await rm(`${file}.new`)
}

/** As `seededRow` has them; @param content other lanes than that. */
async function insertRows(
  trx: Parameters<Parameters<MetadataDatabase['transact']>[0]>[0],
  repoId: number,
  numbers: ReturnType<typeof sql>,
  suffix: string,
  content?: readonly number[],
): Promise<void> {
  const lane = (factor: number) => sql`(n * ${sql.lit(factor)}) % 2147483647 - 1073741824`
  const lanes = content?.map((value) => sql`${value}`) ?? [48_271, 69_621, 16_807, 39_373].map(lane)
  const name = sql`printf('artifact-%05d', n / 200)`
  const version = sql`'1.' || (n / 10 % 20) || '.0'`
  const folder = sql`printf('/com/example/group-%04d/', n / 5000) || ${name} || '/' || ${version}`
  await sql`insert into node (repo_id, path, parent, folder, sha256, md5, size, metadata, origin, hlc,
      c0, c1, c2, c3, m0, m1, m2, m3, created_by, created_at, modified_by, modified_at)
    select ${sql.lit(repoId)}, ${folder} || '/' || ${name} || '-' || ${version} || '-' || (n % 10) || '.jar' || ${suffix}, ${folder}, 0,
      unhex(printf('%064x', n)), null, 1000, '[]', 0, '0000000000000000', ${sql.join(lanes)}, ${lane(40_692)}, 0, 0, 0,
      'bench', ${sql.lit(START_MS)}, 'bench', ${sql.lit(START_MS)} from (${numbers}) as numbered`.execute(trx)
}

/** Numbers, folds and builds until nothing is due. */
async function settle(db: MetadataDatabase): Promise<void> {
  await numberChanges(db)
  const onWrong = () => {
    throw new Error('a bucket was wrong')
  }
  const upkeep = createFingerprintUpkeep(db, { onWrong })
  while ((await upkeep.step()) !== 'idle');
}

async function openCopy(seed: string, file: string): Promise<MetadataDatabase> {
  for (const name of [file, `${file}-wal`, `${file}-shm`]) await rm(name, { force: true })
  await copyFile(seed, file)
  return openDatabase({ dialect: 'sqlite', file })
}
async function repositoryId({ read }: MetadataDatabase): Promise<number> {
  return (await read.selectFrom('repository').select('id').executeTakeFirstOrThrow()).id
}
const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  )

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' },
      files: { type: 'string', default: '1000000' },
      data: { type: 'string', default: join(tmpdir(), 'entrepot-bench-reconciliation') },
    },
  })
  if (values.help === true) return console.log(HELP)
  const figures = await measureReconciliation(values.data, Number(values.files), (line) => console.error(line))
  const rows = figures.map(({ what, ms, cpuMs, bytes, trips, goals }) => [
    ...[what, ms.toFixed(1), cpuMs.toFixed(1), String(bytes), String(trips)],
    goals.map(({ text, met }) => (met ? text : `MISSED ${text}`)).join(', '),
  ])
  console.log(table(['what', 'ms', 'CPU ms, both', 'bytes', 'trips', 'goals'], rows, 160))
}

if (import.meta.main) await run()
