import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { delimiter } from 'node:path'
import type { StartScratchServer } from '../backup/drill/scratch-server.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'

export interface ScratchServerDeps {
  readonly random: Pick<Random, 'bytes'>
  /** Of this server, so that secrets in a backup can be read: as text of the setting. */
  readonly secretKey: string
  /** Of the settings; undefined: there is none. */
  readonly passphrase: string | undefined
  readonly timeZone: string
}

const ENTRY = new URL('./scratch-entry.ts', import.meta.url)
const ADMIN = 'admin'
/** It must not visit the clusters that a backup names. */
const SELDOM_MS = 86_400_000

/** A server of a process of its own, on SQLite and loopback. */
export function createScratchServers({
  random,
  secretKey,
  passphrase,
  timeZone,
}: ScratchServerDeps): StartScratchServer {
  return async (folder, roots, signal) => {
    signal.throwIfAborted()
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const password = random.bytes(24).toString('base64url')
    const child = fork(ENTRY, ['serve', '--port', '0', '--data', folder], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR },
    })
    child.send({
      ENTREPOT_ADMIN_PASSWORD: password,
      ENTREPOT_SECRET_KEY: secretKey,
      ENTREPOT_TIME_ZONE: timeZone,
      ENTREPOT_BACKUP_ALLOWED_ROOTS: roots.join(delimiter),
      ENTREPOT_REPLICATION_HEALTH_CHECK_MS: String(SELDOM_MS),
      ...(passphrase === undefined ? {} : { ENTREPOT_BACKUP_PASSPHRASE: passphrase }),
    })
    const url = await addressOf(child, signal).catch(async (error: unknown) => {
      await end(child)
      throw error
    })
    return {
      url,
      authorization: `Basic ${Buffer.from(`${ADMIN}:${password}`).toString('base64')}`,
      async [Symbol.asyncDispose]() {
        await end(child)
        await rm(folder, { recursive: true, force: true })
      },
    }
  }
}

async function addressOf(child: ChildProcess, signal: AbortSignal): Promise<string> {
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000)
  })
  const exited = once(child, 'exit', { signal }).then(([code]) => {
    throw new AppError('SYSTEM_ERROR', `The scratch server has ended with ${code}: ${words.trim()}`, {})
  })
  exited.catch(() => {})
  const [message] = (await Promise.race([once(child, 'message', { signal }), exited])) as [{ url: string }]
  return message.url
}

/** Its data is thrown away: it need not come to an end by itself. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
