// `npm run bench:search`: what each operation of the search costs on a million nodes, first page and count together.
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../demo/table.ts'
import { createNodeSearches } from '../src/artifacts/search/node-searches.ts'
import { nodeWords } from '../src/artifacts/search/node-words.ts'
import { parseSearch } from '../src/artifacts/search/search-request.ts'
import { messageOf } from '../src/core/errors.ts'
import type { MetadataDatabase } from '../src/metadata/database.ts'
import { openDatabase } from '../src/metadata/open-database.ts'
import { startPostgres } from '../test/helpers/postgres-server.ts'
import { SEED_START_MS, SEEDED, seededDigest, seedNodes } from './search-seed.ts'

const HELP = `Measures searches over many nodes on SQLite and PostgreSQL.

  npm run bench:search
  npm run bench:search -- --nodes 100000           fewer nodes
  npm run bench:search -- --data DIR               where the SQLite file is kept for the next run
  npm run bench:search -- --postgres URL           a database of your own, kept; otherwise one is started and thrown away`

const ROUNDS = 20
const GOAL_MS = 50
const LOOK_AT_MOST = 500_000

const leaf = (field: string, operation: string, value?: unknown) => ({ field, operation, value })
const MANY = 990_000_000

/** `bounded`: an index serves it, and the goal holds. */
const SEARCHES: readonly (readonly [
  name: string,
  kind: 'bounded' | 'wide',
  rules: readonly object[],
  sort?: object,
])[] = [
  ['name EQ', 'bounded', [leaf('name', 'EQ', 'file-0012345.pom')]],
  ['name IN', 'bounded', [leaf('name', 'IN', ['file-0012345.pom', 'file-0000001.jar', 'none'])]],
  ['name PREFIX, 10,000 match', 'bounded', [leaf('name', 'PREFIX', 'file-001')]],
  ['name PREFIX, all match', 'bounded', [leaf('name', 'PREFIX', 'file-')]],
  ['name MATCH file-0012*.jar', 'bounded', [leaf('name', 'MATCH', 'file-0012*.jar')]],
  ['fullPath EQ', 'bounded', [leaf('fullPath', 'EQ', '/group-000/artifact-0000/file-0000000.pom')]],
  ['fullPath PREFIX, 10,000 match', 'bounded', [leaf('fullPath', 'PREFIX', '/group-012/')]],
  ['path EQ', 'bounded', [leaf('path', 'EQ', '/group-012/artifact-0003')]],
  ['path PREFIX, 100,000 match', 'bounded', [leaf('path', 'PREFIX', '/group-01')]],
  ['sha256 EQ', 'bounded', [leaf('sha256', 'EQ', seededDigest(4_711))]],
  ['size GT, half match', 'bounded', [leaf('size', 'GT', 500_000)]],
  ['size GT and LT', 'bounded', [leaf('size', 'GT', 500_000), leaf('size', 'LT', 501_000)]],
  ['lastModifiedDate AFTER', 'bounded', [leaf('lastModifiedDate', 'AFTER', SEED_START_MS + MANY)]],
  ['lastModifiedDate BEFORE, most match', 'bounded', [leaf('lastModifiedDate', 'BEFORE', SEED_START_MS + MANY)]],
  ['metadata EQ text, few match', 'bounded', [leaf('metadata.channel', 'EQ', 'release')]],
  ['metadata EQ text, 99,000 match', 'bounded', [leaf('metadata.channel', 'EQ', 'nightly')]],
  ['metadata EQ number', 'bounded', [leaf('metadata.build', 'EQ', 5_000)]],
  ['metadata NOT_NULL', 'bounded', [leaf('metadata.build', 'NOT_NULL')]],
  ['name PREFIX and size LT', 'bounded', [leaf('name', 'PREFIX', 'file-'), leaf('size', 'LT', 100)]],
  ['everything, by size', 'bounded', [], { properties: ['size'], direction: 'DESC' }],
  ['name PREFIX, by date', 'wide', [leaf('name', 'PREFIX', 'file-01')], { properties: ['lastModifiedDate'] }],
  ['metadata GT number', 'wide', [leaf('metadata.build', 'GT', 999_000)]],
  ['name SUFFIX', 'wide', [leaf('name', 'SUFFIX', '.jar')]],
  ['createdBy EQ', 'wide', [leaf('createdBy', 'EQ', 'user-7')]],
  ['name PREFIX, by createdBy', 'wide', [leaf('name', 'PREFIX', 'file-01')], { properties: ['createdBy'] }],
  ['name CONTAINS, none matches', 'wide', [leaf('name', 'CONTAINS', 'nothing')]],
]

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000000' },
    data: { type: 'string', default: join(tmpdir(), 'entrepot-bench-search') },
    postgres: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) console.log(HELP)
else await run(Number(values.nodes), values.data, values.postgres)

async function run(nodes: number, data: string, postgres: string | undefined): Promise<void> {
  if (!Number.isSafeInteger(nodes) || nodes < 1) throw new TypeError('--nodes is a whole number above 0')
  await mkdir(data, { recursive: true })
  {
    await using db = await openDatabase({ dialect: 'sqlite', file: join(data, `nodes-${nodes}.db`) })
    await measure(db, nodes)
  }
  const server = postgres === undefined ? await startPostgres() : undefined
  try {
    await using db = await openDatabase({ dialect: 'postgres', url: postgres ?? server!.url })
    await measure(db, nodes)
  } finally {
    await server?.stop()
  }
}

async function measure(db: MetadataDatabase, nodes: number): Promise<void> {
  await db.migrate()
  await seedNodes(db, nodes, (line) => console.error(`${db.dialect}: ${line}`))
  const clock = { now: () => SEED_START_MS, sleep: async () => {} }
  const searches = createNodeSearches({ db, clock, limits: { lookAtMost: LOOK_AT_MOST } })
  const words = nodeWords([], (_name, value) => Number(value))
  const rows: string[][] = []
  for (const [name, kind, rules, sort] of SEARCHES) {
    const rule = { rules: [leaf('projectId', 'EQ', SEEDED.project), ...rules] }
    const request = parseSearch({ rule, sort }, words)
    const times: number[] = []
    let outcome = ''
    for (let round = 0; round < ROUNDS; round++) {
      const from = performance.now()
      outcome = await searches.find(request, { everything: true, repositories: [] }).then(
        ({ totalRecords, totalRecordsExact }) => `${totalRecords}${totalRecordsExact ? '' : '+'}`,
        (error: unknown) => `refused: ${messageOf(error).slice(0, 40)}`,
      )
      times.push(performance.now() - from)
    }
    times.sort((a, b) => a - b)
    const [least, median, most] = [times[0]!, times[ROUNDS >> 1]!, times.at(-1)!]
    const goal = kind === 'wide' ? '' : median <= GOAL_MS ? 'met' : 'MISSED'
    rows.push([name, outcome, ...[least, median, most].map((ms) => ms.toFixed(1)), goal])
  }
  const head = ['search', 'matches', 'min ms', 'median', 'max', `goal ${GOAL_MS} ms`]
  console.log(`\n${db.dialect}, ${nodes} nodes, first page and count, ${ROUNDS} rounds\n${table(head, rows, 120)}\n`)
}
