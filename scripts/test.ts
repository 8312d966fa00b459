// `npm test`, `npm run test:crash`, `npm run test:clients`: node scripts/test.ts TIER [file or folder …] [flags of node's test runner …]
import { spawn } from 'node:child_process'
import { glob } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { findPostgres, type PostgresServer, startPostgres } from '../test/helpers/postgres-server.ts'
import { makeRunFolder } from '../test/helpers/run-folder.ts'

interface Tier {
  readonly patterns: readonly string[]
  /** One PostgreSQL for the whole run; test files make databases of their own in it. */
  readonly postgres: 'needed' | 'not needed'
  /** Whoever kills servers wants their files on a disk. */
  readonly files: 'disk' | 'memory'
  /** Guards against a test that hangs; far above what a whole test file takes. */
  readonly timeoutMs: number
}

/** Whole servers wait for each other for a third of their time. */
const FILES_AT_ONCE = Math.ceil(availableParallelism() * 1.5)

const TIERS: Readonly<Record<string, Tier>> = {
  unit: {
    patterns: [
      'src/**/*.test.ts',
      'test/*.test.ts',
      'test/helpers/*.test.ts',
      'test/e2e/**/*.test.ts',
      'demo/*.test.ts',
    ],
    postgres: 'needed',
    files: 'memory',
    timeoutMs: 300_000,
  },
  crash: { patterns: ['test/crash/**/*.test.ts'], postgres: 'needed', files: 'disk', timeoutMs: 1_200_000 },
  clients: { patterns: ['test/clients/**/*.test.ts'], postgres: 'needed', files: 'disk', timeoutMs: 300_000 },
}

const [tierName = '', ...rest] = process.argv.slice(2)
const tier = TIERS[tierName]
if (tier === undefined) throw new Error(`Unknown tier ${tierName}: one of ${Object.keys(TIERS).join(', ')}`)
const flags = rest.filter((argument) => argument.startsWith('-'))
const wanted = rest.filter((argument) => !argument.startsWith('-'))

const files = (await filesOf(tier)).filter((file) => wanted.length === 0 || wanted.some((path) => isWithin(file, path)))
if (files.length === 0) {
  console.error(`No test file of the tier ${tierName} matches ${wanted.join(' ') || tier.patterns.join(' ')}`)
  process.exit(1)
}
process.exitCode = await run(files, tier)

async function filesOf({ patterns }: Tier): Promise<string[]> {
  const found: string[] = []
  for await (const file of glob([...patterns])) found.push(file)
  return found.sort()
}

function isWithin(file: string, path: string): boolean {
  const inside = relative(resolve(path), resolve(file))
  return inside === '' || !inside.startsWith('..')
}

/** Exit code of node's test runner, whose closing summary stays the last thing printed. */
async function run(tests: readonly string[], { postgres, files, timeoutMs }: Tier): Promise<number> {
  const given = process.env.ENTREPOT_TEST_POSTGRES
  await using folder = await makeRunFolder(files)
  const server = postgres === 'needed' && given === undefined ? await postgresForTests() : undefined
  try {
    const runner = ['--test', `--test-concurrency=${FILES_AT_ONCE}`, `--test-timeout=${timeoutMs}`]
    const url = given ?? server?.url
    const env = { ...process.env, ...folder.env, ...(url === undefined ? {} : { ENTREPOT_TEST_POSTGRES: url }) }
    const child = spawn(process.execPath, [...runner, ...flags, ...tests], { stdio: 'inherit', env })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    return await new Promise((ended, failed) => {
      child.on('error', failed)
      child.on('exit', (code) => ended(code ?? 1))
    })
  } finally {
    await server?.stop()
  }
}

/** Where npm has no PostgreSQL for the platform, its tests are skipped with that reason, unless nothing may be skipped. */
async function postgresForTests(): Promise<PostgresServer | undefined> {
  const found = findPostgres()
  if ('missing' in found && process.env.ENTREPOT_REQUIRE_ALL !== '1') return undefined
  return startPostgres()
}
