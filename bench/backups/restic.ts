import { measuredProgram } from '../measured-program.ts'

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
  const run = (...args: string[]): Promise<Used> =>
    measuredProgram('restic', ['--repo', repository, '--quiet', '--cache-dir', `${repository}-cache`, ...args], {
      RESTIC_PASSWORD: 'correct-horse-battery',
    })
  return {
    init: () => run('init', '--repository-version', '2'),
    backup: (dir) => run('backup', '--compression', 'off', dir),
    checkData: () => run('check', '--read-data'),
    restore: (to) => run('restore', 'latest', '--target', to),
  }
}
