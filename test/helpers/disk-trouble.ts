// Loaded with `--import` into a real server process: while a control file is there, its disk is broken or full (`troubled-disk.ts`).
import { createRequire, syncBuiltinESMExports } from 'node:module'

const require = createRequire(import.meta.url)
const fs = require('node:fs') as typeof import('node:fs')
const { DatabaseSync } = require('node:sqlite') as typeof import('node:sqlite')
const { existsSync, readFileSync, readlinkSync, appendFileSync } = { ...fs }

const control = process.env.ENTREPOT_TEST_DISK_TROUBLE!
const below = process.env.ENTREPOT_TEST_DISK_TROUBLE_BELOW!
const MESSAGES = { EIO: 'i/o error', ENOSPC: 'no space left on device' } as const
const ERRNO = { EIO: -5, ENOSPC: -28 } as const
/** PRAGMA max_page_count: as small as the file is, and SQLite's default. */
const MAX_PAGES = { full: 1, free: 0xfffffffe } as const

type Calls = 'sync' | 'write'
interface Trouble {
  readonly code: keyof typeof MESSAGES
  readonly on: Calls | 'database'
}

/** What ails the disk now: `ENOSPC on write`. */
function troubleNow(): Trouble | undefined {
  if (!existsSync(control)) return undefined
  const [code, , on] = readFileSync(control, 'utf8').split(' ')
  return { code, on } as Trouble
}

function failureOf(calls: Calls, syscall: string, fd: number): Error | undefined {
  const trouble = troubleNow()
  if (trouble?.on !== calls || !pathOf(fd).startsWith(below)) return undefined
  appendFileSync(`${control}.hits`, `${syscall}\n`)
  const { code } = trouble
  return Object.assign(new Error(`${code}: ${MESSAGES[code]}, ${syscall}`), { code, errno: ERRNO[code], syscall })
}

function pathOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

// biome-ignore lint/suspicious/noExplicitAny: functions of every shape are wrapped alike
type Any = any
const CALLS = {
  write: 'write',
  writev: 'write',
  datasync: 'sync',
  sync: 'sync',
  fdatasync: 'sync',
  fsync: 'sync',
} as const

/** Methods of a FileHandle, which all handles share. */
const handle = await fs.promises.open(process.execPath, 'r')
const methods = Object.getPrototypeOf(handle) as Record<string, Any>
await handle.close()
for (const name of ['write', 'writev', 'datasync', 'sync'] as const) {
  const real = methods[name]
  methods[name] = async function (this: { fd: number }, ...args: Any[]) {
    const failure = failureOf(CALLS[name], name, this.fd)
    if (failure !== undefined) throw failure
    return real.apply(this, args)
  }
}

/** The same with callbacks, and those that block; streams use them, too. */
const functions = fs as unknown as Record<string, Any>
for (const name of ['write', 'writev', 'fdatasync', 'fsync'] as const) {
  const real = functions[name]
  functions[name] = (fd: number, ...args: Any[]) => {
    const failure = failureOf(CALLS[name], name, fd)
    if (failure === undefined) return real(fd, ...args)
    process.nextTick(args.at(-1), failure)
  }
  const realSync = functions[`${name}Sync`]
  functions[`${name}Sync`] = (fd: number, ...args: Any[]) => {
    const failure = failureOf(CALLS[name], name, fd)
    if (failure !== undefined) throw failure
    return realSync(fd, ...args)
  }
}
syncBuiltinESMExports()

/** A database that may not grow answers SQLITE_FULL by itself. Looked at before each transaction that writes. */
const limits = new WeakMap<object, number>()
const databases = DatabaseSync.prototype as unknown as Record<string, Any>
const { exec, prepare } = databases
databases.prepare = function (this: object, sql: string, ...rest: Any[]) {
  const statement = prepare.call(this, sql, ...rest)
  if (sql !== 'begin immediate') return statement
  const run = statement.run.bind(statement)
  statement.run = (...args: Any[]) => {
    limitPages(this)
    return run(...args)
  }
  return statement
}

function limitPages(database: object): void {
  const isFull = troubleNow()?.on === 'database'
  if (isFull) appendFileSync(`${control}.hits`, 'database\n')
  const wanted = isFull ? MAX_PAGES.full : MAX_PAGES.free
  if ((limits.get(database) ?? MAX_PAGES.free) === wanted) return
  exec.call(database, `pragma max_page_count = ${wanted}`)
  limits.set(database, wanted)
}
