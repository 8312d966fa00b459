import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watchUsage } from '../process-usage.ts'

/** A repository of restic, encrypted as they all are, without compression, like ours in this comparison. */
export interface Restic {
  init(): Promise<Used>
  backup(dir: string): Promise<Used>
  checkData(): Promise<Used>
  restore(to: string): Promise<Used>
}
interface Used {
  readonly cpuSeconds: number
}

export function resticAt(repository: string): Restic {
  const run = async (...args: string[]): Promise<Used> => {
    const child = spawn('restic', ['--repo', repository, '--quiet', '--no-cache', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, RESTIC_PASSWORD: 'correct-horse-battery' },
    })
    let errors = ''
    child.stderr.on('data', (chunk) => {
      errors = `${errors}${chunk}`.slice(-2_000)
    })
    const watch = watchUsage([child.pid!])
    const [code] = await once(child, 'close')
    const [used] = watch.end()
    if (code !== 0) throw new Error(`restic ${args[0]} ended with code ${code}: ${errors.slice(-500)}`)
    return { cpuSeconds: used!.cpuSeconds }
  }
  return {
    init: () => run('init', '--repository-version', '2'),
    backup: (dir) => run('backup', '--compression', 'off', dir),
    checkData: () => run('check', '--read-data'),
    restore: (to) => run('restore', 'latest', '--target', to),
  }
}
