import { constants, homedir } from 'node:os'
import { runCommandLine } from '../cli/program.ts'
import { systemClock } from './system-clock.ts'
import { createSystemIds } from './system-ids.ts'
import { systemRandom } from './system-random.ts'
import { version } from './version.ts'

/** Runs one command and ends with its exit code. */
export async function runCommands(args: readonly string[]): Promise<void> {
  const stop = new AbortController()
  let ended: NodeJS.Signals | undefined
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      ended ??= name
      stop.abort()
    })
  }
  const { stdin: input, stdout: out, stderr: err, env } = process
  // Whoever reads has seen enough (`entrepot ls … | head`): the end, as it is for every program, without a word.
  for (const stream of [out, err]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(signalCode('SIGPIPE'))
    })
  }
  const ids = createSystemIds(systemClock, systemRandom)
  const ground = { input, out, err, env, home: homedir(), clock: systemClock, ids, signal: stop.signal }
  const exitCode = await runCommandLine(args, await version(), ground)
  process.exitCode = ended === undefined ? exitCode : signalCode(ended)
}

const signalCode = (name: NodeJS.Signals): number => 128 + constants.signals[name]
