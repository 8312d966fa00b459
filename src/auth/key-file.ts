import { access, link, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, messageOf } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import { parseSecretKey } from './secrets.ts'

const KEY_BYTES = 32

/**
 * The secret key in a file, made on first use: 64 hex digits, readable by its owner alone, durable before it encrypts anything.
 * Several processes that start at once end up with one key. @throws AppError SYSTEM_ERROR when the file holds something else.
 */
export async function loadKeyFile(path: string, random: Random): Promise<Buffer> {
  await createKeyFile(path, random, () => random.bytes(KEY_BYTES).toString('hex'))
  const text = (await readFile(path, 'utf8')).trim()
  if (!/^[0-9a-f]{64}$/.test(text)) {
    const why = 'it does not hold 64 hex digits. Restore it from a backup; without it stored passwords cannot be read'
    throw new AppError('SYSTEM_ERROR', `The key file ${path} is damaged: ${why}`, { path })
  }
  return parseSecretKey(text)
}

/**
 * Does nothing when the file is there. The name appears when its content is durable, so that nobody ever reads half a key.
 * @throws AppError SYSTEM_ERROR naming the path.
 */
export async function createKeyFile(path: string, random: Random, makeText: () => string): Promise<void> {
  const draft = `${path}.${random.bytes(8).toString('hex')}`
  try {
    if (await isThere(path)) return
    await writeDurably(draft, `${makeText().trimEnd()}\n`)
    await link(draft, path)
    await syncFolder(dirname(path))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new AppError('SYSTEM_ERROR', `The key file ${path} cannot be made: ${messageOf(cause)}`, { path }, { cause })
  } finally {
    await rm(draft, { force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(text)
  await file.sync()
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}
