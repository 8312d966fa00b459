import { parseArgs } from 'node:util'
import { canRun, type Dialect } from './postgres.ts'
import type { Scenario } from './scenario.ts'

const DIALECTS: readonly Dialect[] = ['sqlite', 'postgres']

export interface BenchArguments {
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[]
  /** 1: the sizes of docs/performance.md; 0.1: a tenth of them. */
  readonly scale: number
  /** Of both servers, where a scenario does not say which. */
  readonly dialect: Dialect
}

/** @param scenarios all there are. */
export const helpFor = (scenarios: readonly Pick<Scenario, 'name' | 'title'>[]): string =>
  `Measures uploads, downloads and replication between two real servers.

  npm run bench
  npm run bench -- --scale 0.1                  a tenth of the bytes and files
  npm run bench -- --only replicate-small       one scenario and what it needs; may be repeated
  npm run bench -- --database postgres          both servers on PostgreSQL

Each compares the contents of both sides afterwards and fails when they differ. Everything takes about an hour and 20 GiB of
disk in the directory for temporary files (TMPDIR). PostgreSQL comes with npm, or is the one of ENTREPOT_BENCH_POSTGRES (an empty
database, whose account may create others). rclone, rsync, docker-registry and skopeo are measured where they are installed.

${scenarios.map(({ name, title }) => `  ${name.padEnd(26)} ${title}`).join('\n')}`

/** @throws TypeError for an unknown option or a bad scale. `undefined`: the user asked for help. */
export function benchArguments(argv: readonly string[], names: readonly string[]): BenchArguments | undefined {
  const options = {
    only: { type: 'string', multiple: true, default: [] as string[] },
    scale: { type: 'string', default: '1' },
    database: { type: 'string', default: 'sqlite' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { values } = parseArgs({ args: [...argv], options })
  if (values.help) return undefined
  const unknown = values.only.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new TypeError(`No scenario is named ${unknown}: one of ${names.join(', ')}`)
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 100)) throw new TypeError('--scale is a number above 0 and up to 100')
  const dialect = DIALECTS.find((one) => one === values.database)
  if (dialect === undefined) throw new TypeError('--database is sqlite or postgres')
  if (!canRun(dialect)) throw new TypeError('PostgreSQL cannot run here: npm brought none')
  return { only: values.only, scale, dialect }
}
