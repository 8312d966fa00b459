import { homedir } from 'node:os'
import { runCommandLine } from '../cli/program.ts'
import { systemClock } from './system-clock.ts'
import { createSystemIds } from './system-ids.ts'
import { systemRandom } from './system-random.ts'
import { version } from './version.ts'

/** Runs one command and ends with its exit code. */
export async function runCommands(args: readonly string[]): Promise<void> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort())
  const { stdin: input, stdout: out, stderr: err, env } = process
  const ids = createSystemIds(systemClock, systemRandom)
  const ground = { input, out, err, env, home: homedir(), clock: systemClock, ids, signal: stop.signal }
  const exitCode = await runCommandLine(args, await version(), ground)
  process.exitCode = stop.signal.aborted ? 130 : exitCode
}
