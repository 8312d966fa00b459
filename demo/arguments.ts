import { parseArgs } from 'node:util'

export interface DemoArguments {
  /** What becomes of both servers at the end. */
  readonly end: 'stop' | 'keep'
}

export const HELP = `Shows two clusters and a replication task between them, with real files.

  npm run demo              stops both servers at the end
  npm run demo -- --keep    leaves both running and prints how to reach them`

/** @throws TypeError for an unknown option. `undefined`: the user asked for help. */
export function demoArguments(argv: readonly string[]): DemoArguments | undefined {
  const options = {
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { values } = parseArgs({ args: [...argv], options })
  return values.help ? undefined : { end: values.keep ? 'keep' : 'stop' }
}
