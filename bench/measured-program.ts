import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watchUsage } from './process-usage.ts'

/** Runs a program to its end. @throws Error with the end of what it said when that is not code 0. */
export async function measuredProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly cpuSeconds: number }> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2_000)
  })
  const watch = watchUsage([child.pid!])
  const [code] = await once(child, 'close')
  const [used] = watch.end()
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with code ${code}: ${errors.slice(-500)}`)
  return { cpuSeconds: used!.cpuSeconds }
}
