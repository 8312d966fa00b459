import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'

/**
 * As in `npm start` (docs/operations.md): bodies pass as short-lived buffers outside the heap. A small young generation frees them
 * early, few arenas of the allocator give them back.
 */
const NODE_FLAGS = ['--max-semi-space-size=2']
const ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_TRIM_THRESHOLD_: '16777216' }
const MAIN = fileURLToPath(new URL('../../src/app/main.ts', import.meta.url))
const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 20_000
const POLL_MS = 50

export interface ServerOptions {
  /** Also its cluster name, 2 to 256 characters. */
  readonly name: string
  readonly dataDir: string
  /** Default: a free one. Give the old one to start a killed server again. */
  readonly port?: number
  /** Default `<dataDir>.log`; appended to. */
  readonly logFile?: string
  /** Of the account `admin`; used at the first start of a data directory. */
  readonly password?: string
  /** More settings, e.g. `{ ENTREPOT_DATABASE: 'postgres://…' }`. Settings of our own environment are not passed on. */
  readonly env?: Readonly<Record<string, string>>
  /** File that is run in place of `src/app/main.ts`, e.g. `server-with-rds.ts`. */
  readonly program?: string
  /** More flags of node, e.g. `['--import', FILE]`. */
  readonly nodeFlags?: readonly string[]
  /** `outlives`: has a process group of its own and goes on when we end. */
  readonly life?: 'ends with us' | 'outlives'
}

/** A real server process. Disposing stops it and waits for its end. */
export interface ServerProcess extends AsyncDisposable {
  readonly name: string
  readonly url: string
  readonly port: number
  readonly dataDir: string
  readonly logFile: string
  readonly user: string
  readonly password: string
  readonly pid: number
  /** SIGTERM, then waits for the graceful end; the exit code. SIGKILL when that takes too long. */
  stop(): Promise<number | null>
  /** SIGKILL: what a power cut does to a process. */
  kill(): Promise<void>
}

/** Resolves once `/health/ready` answers 200. @throws Error with the end of its log when the server ends before that. */
export async function startServer(options: ServerOptions, signal: AbortSignal): Promise<ServerProcess> {
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const logFile = options.logFile ?? `${options.dataDir}.log`
  const password = options.password ?? 'correct-horse-battery'
  await mkdir(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'a')
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('ENTREPOT_'))
  const child = spawn(
    process.execPath,
    [
      ...NODE_FLAGS,
      ...(options.nodeFlags ?? []),
      options.program ?? MAIN,
      ...['serve', '--port', String(port), '--data', options.dataDir],
    ],
    {
      stdio: ['ignore', log, log],
      detached: options.life === 'outlives',
      env: {
        ...Object.fromEntries(inherited),
        ...ALLOCATOR,
        ENTREPOT_CLUSTER_NAME: options.name,
        ENTREPOT_ADMIN_PASSWORD: password,
        ...options.env,
      },
    },
  )
  closeSync(log)
  if (options.life === 'outlives') child.unref()
  const stop = () => end(child, 'SIGTERM')
  try {
    await ready(child, options.name, url, logFile, signal)
  } catch (error) {
    await end(child, 'SIGKILL')
    throw error
  }
  return {
    name: options.name,
    url,
    port,
    dataDir: options.dataDir,
    logFile,
    user: 'admin',
    password,
    pid: child.pid!,
    stop,
    async kill() {
      await end(child, 'SIGKILL')
    },
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

async function ready(child: ChildProcess, name: string, url: string, logFile: string, signal: AbortSignal) {
  const deadline = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadline) {
    signal.throwIfAborted()
    if (hasEnded(child)) throw new Error(`Server ${name} ended at its start:\n${await lastLines(logFile)}`)
    const answer = await fetch(`${url}/health/ready`, { signal }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await sleep(POLL_MS, undefined, { signal })
  }
  throw new Error(`Server ${name} was not ready within ${READY_WITHIN_MS / 1000} s:\n${await lastLines(logFile)}`)
}

async function end(child: ChildProcess, how: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  if (hasEnded(child)) return child.exitCode
  const exited = once(child, 'exit')
  child.kill(how)
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
  await exited
  clearTimeout(late)
  return child.exitCode
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

export async function lastLines(logFile: string, count = 15): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
