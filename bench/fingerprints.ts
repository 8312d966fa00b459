// `npm run bench:fingerprints`: what the sums over ranges of paths cost, on a million files.
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { table } from '../demo/table.ts'
import type { PathRange } from '../src/core/path-range.ts'
import { appendChanges, type Change } from '../src/metadata/changes/change-log.ts'
import { numberChanges } from '../src/metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../src/metadata/database.ts'
import { createFingerprints } from '../src/metadata/fingerprints/fingerprints.ts'
import { forgetSums } from '../src/metadata/fingerprints/fold-state.ts'
import { createFingerprintUpkeep } from '../src/metadata/fingerprints/upkeep.ts'
import { openDatabase } from '../src/metadata/open-database.ts'
import { startPostgres } from '../test/helpers/postgres-server.ts'
import { watchHolds } from './holds.ts'
import { SEED_START_MS, SEEDED, seedNodes } from './search-seed.ts'

const HELP = `Measures fingerprints over many files on SQLite and PostgreSQL.

  npm run bench:fingerprints
  npm run bench:fingerprints -- --nodes 100000     fewer files
  npm run bench:fingerprints -- --data DIR         where the SQLite file is kept for the next run
  npm run bench:fingerprints -- --postgres URL     a database of your own, kept; otherwise one is started and thrown away
  npm run bench:fingerprints -- --only sqlite      one of the two`

const ROUNDS = 10
const RANGES = 256
const CHANGES = 20_000
const CHANGES_PER_UPLOAD = 10

export interface FingerprintFigures {
  /** Median of `ROUNDS`, wall clock. */
  readonly alignedSumsMs: number
  readonly foreignSumsMs: number
  readonly sumsAmongChangesMs: number
  readonly cutsMs: number
  readonly buildRowsPerSecond: number
  /** Of the process, its threads together, per changed path; goal: 15. */
  readonly foldCpuMicros: number
  /** The longest time in which building or folding let this thread do nothing else. */
  readonly longestHoldMs: number
}

/** @param db with the seeded files. */
export async function measureFingerprints(db: MetadataDatabase): Promise<FingerprintFigures> {
  const { id: repoId } = await db.read
    .selectFrom('repository')
    .select('id')
    .where('project', '=', SEEDED.project)
    .executeTakeFirstOrThrow()
  const fingerprints = createFingerprints(db)
  const everything: PathRange = { lo: '', hi: null }

  const untilIdle = async () => {
    const upkeep = createFingerprintUpkeep(db)
    while ((await upkeep.step()) !== 'idle');
  }
  await untilIdle()
  await db.transact((trx) => forgetSums(trx, repoId))
  const holdsOfBuild = watchHolds()
  const build = await timed(untilIdle)
  const longestOfBuild = holdsOfBuild.end()
  const [{ rows } = { rows: 0 }] = await fingerprints.sums(repoId, [everything])

  await untilIdle()
  const cuts = await fingerprints.cuts(repoId, everything, RANGES)
  const aligned = between(cuts)
  const foreign = between(await randomPaths(db, repoId, RANGES - 1))
  const alignedSumsMs = await median(() => fingerprints.sums(repoId, aligned))
  const foreignSumsMs = await median(() => fingerprints.sums(repoId, foreign))
  const cutsMs = await median(() => fingerprints.cuts(repoId, everything, RANGES))

  const paths = await randomPaths(db, repoId, CHANGES)
  for (let at = 0; at < CHANGES; at += CHANGES_PER_UPLOAD) {
    const changes = paths.slice(at, at + CHANGES_PER_UPLOAD).map((path) => changeOf(repoId, path))
    await db.transact((trx) => appendChanges(trx, changes))
  }
  await numberChanges(db)
  const sumsAmongChangesMs = await median(() => fingerprints.sums(repoId, aligned))
  const holds = watchHolds()
  const cpu = process.cpuUsage()
  await untilIdle()
  const { user, system } = process.cpuUsage(cpu)
  return {
    ...{ alignedSumsMs, foreignSumsMs, sumsAmongChangesMs, cutsMs },
    buildRowsPerSecond: Math.round(rows / (build / 1_000)),
    foldCpuMicros: (user + system) / CHANGES,
    longestHoldMs: Math.max(longestOfBuild, holds.end()),
  }
}

/** Sums stay what they are: nothing was gained, and the lanes cancel out over two runs. */
const changeOf = (repoId: number, path: string): Change => ({
  ...{ repoId, path, op: 3, origin: 0, viaLink: null, at: SEED_START_MS },
  before: { content: [0, 0, 0, 0], metadata: [0, 0, 0, 0] },
  after: { content: [0, 0, 0, 0], metadata: [0, 0, 0, 0] },
})

const between = (cuts: readonly string[]): PathRange[] => ['', ...cuts].map((lo, at) => ({ lo, hi: cuts[at] ?? null }))

/** Ascending, scattered by their digests. */
async function randomPaths(db: MetadataDatabase, repoId: number, count: number): Promise<string[]> {
  const rows = await db.read
    .selectFrom('node')
    .select('path')
    .where('repo_id', '=', repoId)
    .where('sha256', 'is not', null)
    .where('deleted_at', 'is', null)
    .orderBy('sha256')
    .limit(count)
    .execute()
  return rows.map(({ path }) => path).sort()
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}
async function median(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) times.push(await timed(work))
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' },
      nodes: { type: 'string', default: '1000000' },
      data: { type: 'string', default: join(tmpdir(), 'entrepot-bench-fingerprints') },
      postgres: { type: 'string' },
      only: { type: 'string' },
    },
  })
  if (values.help === true) return console.log(HELP)
  await mkdir(values.data, { recursive: true })
  const files = Number(values.nodes)
  const rows: string[][] = []
  const measure = async (name: string, db: MetadataDatabase) => {
    await db.migrate()
    await seedNodes(db, files, (line) => console.error(`${name}: ${line}`))
    for (const [what, value] of Object.entries(await measureFingerprints(db))) {
      rows.push([name, what, value < 100 ? value.toFixed(1) : String(Math.round(value))])
    }
  }
  if (values.only !== 'postgres') {
    await using db = await openDatabase({ dialect: 'sqlite', file: join(values.data, `nodes-${files}.db`) })
    await measure('sqlite', db)
  }
  if (values.only !== 'sqlite') {
    await using server = new AsyncDisposableStack()
    const own = values.postgres === undefined ? await startPostgres() : undefined
    if (own !== undefined) server.defer(() => own.stop())
    await using db = await openDatabase({ dialect: 'postgres', url: values.postgres ?? own!.url })
    await measure('postgres', db)
  }
  console.log(table(['database', 'figure', 'value'], rows))
}

if (import.meta.main) await run()
