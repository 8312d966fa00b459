import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mapConcurrent } from '../src/core/concurrency.ts'
import type { BenchFile } from './content.ts'
import { type Usage, watchUsage } from './process-usage.ts'

const FILES_AT_ONCE = 16
const LISTENS_WITHIN_MS = 10_000
const POLL_MS = 20

/** A program that listens on a loopback port; killed when disposed. */
export interface PeerServer extends AsyncDisposable {
  readonly pid: number
}

/** Resolves once it takes connections. */
export async function startPeer(command: readonly string[], port: number, signal: AbortSignal): Promise<PeerServer> {
  const child = start(command)
  const exited = once(child, 'exit')
  const peer = {
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
    },
  }
  const deadline = performance.now() + LISTENS_WITHIN_MS
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill()
      throw new Error(`${command[0]} does not listen on port ${port}`)
    }
    await sleep(POLL_MS, undefined, { signal })
  }
  return peer
}

/** Runs commands one after the other. @throws when one fails. @returns time of all, and usage of the first and of the server. */
export async function timePeers(
  commands: readonly (readonly string[])[],
  server: PeerServer,
): Promise<{ readonly ms: number; readonly client: Usage; readonly server: Usage }> {
  const from = performance.now()
  const [first, ...rest] = commands
  const child = start(first!)
  const watch = watchUsage([child.pid!, server.pid])
  await ended(child, first!)
  for (const command of rest) await ended(start(command), command)
  const ms = performance.now() - from
  const [client, served] = watch.end()
  return { ms, client: client!, server: served! }
}

const start = ([program, ...args]: readonly string[]): ChildProcess =>
  spawn(program!, args, { stdio: ['ignore', 'ignore', 'inherit'] })

async function ended(child: ChildProcess, command: readonly string[]): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit')
  if (child.exitCode !== 0) throw new Error(`${command.join(' ')} ended with code ${child.exitCode}`)
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

export async function writeFiles(dir: string, files: readonly BenchFile[], signal: AbortSignal): Promise<void> {
  const writeOne = async ({ expected, content }: BenchFile) => {
    const path = join(dir, expected.path)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content as Buffer)
  }
  await mapConcurrent(files, FILES_AT_ONCE, writeOne, signal)
}

/** @throws Error unless a directory holds just these files. */
export async function mustHoldFiles(dir: string, files: readonly BenchFile[], signal: AbortSignal): Promise<void> {
  const expected = new Map(files.map((file) => [file.expected.path, file.expected.sha256]))
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const found = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const checkOne = async (file: string) => {
    const path = `/${relative(dir, file)}`
    const sha256 = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    if (expected.get(path) !== sha256) throw new Error(`${file} is not what was sent`)
  }
  await mapConcurrent(found, FILES_AT_ONCE, checkOne, signal)
  if (found.length !== files.length) throw new Error(`${dir} holds ${found.length} files instead of ${files.length}`)
}
