import { pino } from 'pino'
import type { FirstAdministrator } from '../auth/users.ts'
import { AppError, messageOf } from '../core/errors.ts'
import { logOptions } from '../http/log-options.ts'
import { type Config, readInvocation } from './config.ts'
import { helpText } from './config-help.ts'
import { startServer } from './server.ts'
import { systemClock } from './system-clock.ts'
import { version } from './version.ts'

const FAILED = 1
/** Ctrl-C in `npm start` arrives twice at once, from the terminal and from npm: only a later signal is impatience. */
const SAME_WISH_MS = 1_000

/** The program: reads its configuration and serves until a signal; refuses with one line and exit code 1. */
export async function run(): Promise<void> {
  try {
    await start()
  } catch (error) {
    refuse(error)
  }
}

async function start(): Promise<void> {
  const invocation = await readInvocation({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() })
  if (invocation.kind === 'help') return print(helpText())
  if (invocation.kind === 'version') return print(await version())
  await serve(invocation.config)
}

async function serve(config: Config): Promise<void> {
  const logger = pino(logOptions(config.logLevel))
  const server = await startServer(config, logger, announce)
  const address = config.publicUrl ?? server.url
  print(`Entrepot ${await version()} is running`)
  print(`  address         ${address}`)
  print(`  API             ${address}/docs`)
  print(`  data directory  ${config.data}`)
  let askedAt: number | undefined
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (askedAt !== undefined) {
        if (systemClock.now() - askedAt > SAME_WISH_MS) process.exit(FAILED)
        return
      }
      askedAt = systemClock.now()
      print(`Stopping: what runs is brought to an end (${name} again, later, stops at once)`)
      server.stop().then(
        () => process.exit(0),
        (error) => refuse(error),
      )
    })
  }
}

function announce({ userId, generatedPassword }: FirstAdministrator): void {
  const password = generatedPassword ?? 'as given by ENTREPOT_ADMIN_PASSWORD'
  print(
    `First start: user ${userId}, password ${password}${generatedPassword === undefined ? '' : '   (shown only now)'}`,
  )
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

function refuse(error: unknown): never {
  const expected = error instanceof AppError || (error as NodeJS.ErrnoException).code !== undefined
  process.stderr.write(`entrepot: ${expected ? messageOf(error) : ((error as Error).stack ?? String(error))}\n`)
  process.exit(FAILED)
}
