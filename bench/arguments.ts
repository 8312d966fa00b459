import { parseArgs } from 'node:util'

export interface BenchArguments {
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[]
  /** 1: the sizes of docs/performance.md; 0.1: a tenth of them. */
  readonly scale: number
}

export const HELP = `Measures uploads, downloads and replication between two real servers.

  npm run bench
  npm run bench -- --scale 0.1                  a tenth of the bytes and files
  npm run bench -- --only replicate-small       one scenario and what it needs; may be repeated`

/** @throws TypeError for an unknown option or a bad scale. `undefined`: the user asked for help. */
export function benchArguments(argv: readonly string[], names: readonly string[]): BenchArguments | undefined {
  const options = {
    only: { type: 'string', multiple: true, default: [] as string[] },
    scale: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { values } = parseArgs({ args: [...argv], options })
  if (values.help) return undefined
  const unknown = values.only.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new TypeError(`No scenario is named ${unknown}: one of ${names.join(', ')}`)
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 100)) throw new TypeError('--scale is a number above 0 and up to 100')
  return { only: values.only, scale }
}
