import { createCipheriv, createDecipheriv, createHmac, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secrets } from '../../auth/secrets.ts'
import { hasCode } from '../../core/errors.ts'
import type { SecretCarrier } from './common-file.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** scrypt, RFC 7914: 32 MiB and about 0.1 s. The salt is fixed: whoever has the passphrase reads the backups of every server. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }
const SCRYPT_SALT = 'entrepot.backup-secrets.v1'
const scryptAsync = promisify<string, string, number, typeof SCRYPT, Buffer>(scrypt)

/** `server`: as the server's key encrypted it · `sealed`: with the passphrase. Then the place it is bound to, in base64url, and the text. */
const PACKED = /^(server|sealed)\.v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_.-]+)$/

/** Once per process. @param passphrase as settings have it. @returns 32 bytes. */
export const passphraseKeyOf = (passphrase: string): Promise<Buffer> =>
  scryptAsync(passphrase, SCRYPT_SALT, KEY_BYTES, SCRYPT)

interface SecretCarrierDeps {
  readonly secrets: Secrets
  /** Of `passphraseKeyOf`; undefined: secrets stay as the server's key encrypted them. */
  readonly passphraseKey: Buffer | undefined
}

/** What the backup holds names the place that it was taken from: without it, neither key opens it. */
export function createSecretCarrier({ secrets, passphraseKey }: SecretCarrierDeps): SecretCarrier {
  const packed = (kind: 'server' | 'sealed', place: string, text: string) =>
    `${kind}.v1.${Buffer.from(place).toString('base64url')}.${text}`
  /** Undefined: the server's key is another one by now, or the text was changed. */
  function opened(stored: string, place: string): string | undefined {
    try {
      return secrets.decrypt(stored, place)
    } catch (error) {
      if (hasCode(error, 'SYSTEM_ERROR')) return undefined
      throw error
    }
  }
  return {
    pack(stored, place) {
      const plain = passphraseKey && opened(stored, place)
      return plain === undefined
        ? packed('server', place, stored)
        : packed('sealed', place, seal(passphraseKey!, plain, place))
    },
    unpack(text, place) {
      const [, kind, encoded, body] = PACKED.exec(text) ?? []
      if (encoded === undefined) return undefined
      const from = Buffer.from(encoded, 'base64url').toString()
      const plain = kind === 'server' ? opened(body!, from) : passphraseKey && unseal(passphraseKey, body!, from)
      return plain === undefined ? undefined : secrets.encrypt(plain, place)
    },
  }
}

/**
 * AES-256-GCM. The nonce is made of what is sealed, so that a secret which did not change leaves the record as it was; two different
 * ones get different nonces.
 */
function seal(key: Buffer, plain: string, place: string): string {
  const nonce = createHmac('sha256', key)
    .update(JSON.stringify([place, plain]))
    .digest()
    .subarray(0, NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place))
  const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url')
}

function unseal(key: Buffer, text: string, place: string): string | undefined {
  const bytes = Buffer.from(text, 'base64url')
  const [nonce, tag] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)]
  if (tag.length < TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(place)).setAuthTag(tag)
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString()
  } catch {
    return undefined
  }
}
