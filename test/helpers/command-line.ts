import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { tempDir } from './temp.ts'

const MAIN = fileURLToPath(new URL('../../src/app/main.ts', import.meta.url))

export interface Ended {
  readonly exitCode: number | null
  readonly out: string
  readonly err: string
}

/** The program as people start it, with a home and a working directory of its own. */
export interface CommandLine extends AsyncDisposable {
  file(name: string): string
  /** One process of it. */
  run(
    args: readonly string[],
    given?: { readonly input?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Ended>
  /** One whose standard output nobody reads: the other end is closed before it starts to print. */
  runUnread(args: readonly string[]): Promise<Ended>
  /** One that must end with 0. @returns what it printed. */
  good(...args: string[]): Promise<string>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what was printed
  json(...args: string[]): Promise<any>
}

export async function commandLine(): Promise<CommandLine> {
  const dir = await tempDir()
  const start = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    spawn(process.execPath, [MAIN, ...args], {
      cwd: dir.path,
      env: { PATH: process.env.PATH, HOME: dir.path, ...env },
    })
  const run: CommandLine['run'] = async (args, { input = '', env = {} } = {}) => {
    const child = start(args, env)
    child.stdin.end(input)
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { exitCode: child.exitCode, out, err }
  }
  const good: CommandLine['good'] = async (...args) => {
    const { exitCode, out, err } = await run(args)
    assert.equal(exitCode, 0, `${args.join(' ')}: ${err}`)
    return out
  }
  return {
    file: (name) => dir.file(name),
    run,
    async runUnread(args) {
      const child = start(args, {})
      child.stdin.end()
      child.stdout.destroy()
      const [err] = await Promise.all([text(child.stderr), once(child, 'close')])
      return { exitCode: child.exitCode, out: '', err }
    },
    good,
    json: async (...args) => JSON.parse(await good('--json', ...args)),
    [Symbol.asyncDispose]: async () => dir[Symbol.asyncDispose](),
  }
}
