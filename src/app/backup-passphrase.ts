import { readFile } from 'node:fs/promises'
import { passphraseKeyOf } from '../backup/common/secret-carrier.ts'
import { invalid, messageOf } from '../core/errors.ts'
import type { Config } from './config.ts'

export interface BackupPassphrase {
  readonly text: string
  /** Made of it, for secrets; 32 bytes. */
  readonly key: Buffer
}

type PassphraseSettings = Pick<Config['backup'], 'passphrase' | 'passphraseFile'>

/** What encrypts backups; undefined: they are not. @throws AppError PARAMETER_INVALID when there are two, or the file cannot be read. */
export async function readBackupPassphrase(settings: PassphraseSettings): Promise<BackupPassphrase | undefined> {
  const text = await passphraseOf(settings)
  return text === undefined ? undefined : { text, key: await passphraseKeyOf(text) }
}

async function passphraseOf({ passphrase, passphraseFile }: PassphraseSettings): Promise<string | undefined> {
  if (passphraseFile === undefined) return passphrase
  if (passphrase !== undefined)
    throw invalid('backup.passphraseFile', 'backup.passphrase is given, too: keep one of both')
  let content: string
  try {
    content = await readFile(passphraseFile, 'utf8')
  } catch (cause) {
    throw invalid('backup.passphraseFile', messageOf(cause))
  }
  const text = content.replace(/[\r\n]+$/, '')
  if (text === '') throw invalid('backup.passphraseFile', 'the file is empty')
  return text
}
