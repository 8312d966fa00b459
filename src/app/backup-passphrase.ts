import { open } from 'node:fs/promises'
import { passphraseKeyOf } from '../backup/common/secret-carrier.ts'
import { checkPassphrase } from '../backup/keys/new-key.ts'
import { invalid, messageOf } from '../core/errors.ts'
import type { Config } from './config.ts'

export interface BackupPassphrase {
  readonly text: string
  /** Made of it, for secrets; 32 bytes. */
  readonly key: Buffer
}

type PassphraseSettings = Pick<Config['backup'], 'passphrase' | 'passphraseFile'>

/** Of a file that others than its owner may read. */
const OTHERS = 0o077

/**
 * What encrypts backups; undefined: they are not.
 * @throws AppError PARAMETER_INVALID when there are two, when it is too short, and when the file cannot be read, or others may read it.
 */
export async function readBackupPassphrase(settings: PassphraseSettings): Promise<BackupPassphrase | undefined> {
  // Whoever types it on another system gives the same key: here, for all that it encrypts.
  const text = (await passphraseOf(settings))?.normalize('NFKC')
  return text === undefined ? undefined : { text, key: await passphraseKeyOf(text) }
}

async function passphraseOf({ passphrase, passphraseFile }: PassphraseSettings): Promise<string | undefined> {
  if (passphraseFile === undefined) {
    if (passphrase !== undefined) checkPassphrase(passphrase, 'backup.passphrase')
    return passphrase
  }
  if (passphrase !== undefined)
    throw invalid('backup.passphraseFile', 'backup.passphrase is given, too: keep one of both')
  const { content, mode } = await contentOf(passphraseFile)
  // Windows has no such bits.
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
    const bits = (mode & 0o777).toString(8).padStart(4, '0')
    throw invalid('backup.passphraseFile', `others may read the file (mode ${bits}): chmod 600 ${passphraseFile}`)
  }
  const text = content.replace(/[\r\n]+$/, '')
  if (text === '') throw invalid('backup.passphraseFile', 'the file is empty')
  checkPassphrase(text, 'backup.passphraseFile')
  return text
}

async function contentOf(path: string): Promise<{ content: string; mode: number }> {
  try {
    await using file = await open(path)
    return { mode: (await file.stat()).mode, content: await file.readFile('utf8') }
  } catch (cause) {
    throw invalid('backup.passphraseFile', messageOf(cause))
  }
}
