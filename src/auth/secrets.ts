import { createCipheriv, createDecipheriv, createHash, scryptSync } from 'node:crypto'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'

/** Encrypts what must be shown to other servers later: passwords of clusters and registries. AES-256-GCM. */
export interface Secrets {
  /**
   * Text such as `v1.5f2c8a01.<base64url>`: format, key, then nonce, tag and ciphertext.
   * @param place where the text will be kept, e.g. `cluster/<id>/password`: it cannot be read in another place.
   */
  encrypt(plain: string, place: string): string
  /** @throws AppError SYSTEM_ERROR when the key is another one, the place is, or the text was changed. */
  decrypt(text: string, place: string): string
}

const FORMAT = 'v1'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MIN_PASSPHRASE_LENGTH = 12
/** scrypt, RFC 7914: 32 MiB and about 0.1 s, once per start. The salt is fixed: all nodes have to find the same key. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }
const SCRYPT_SALT = 'entrepot.secret-key.v1'

/** @param key 32 bytes. */
export function createSecrets(key: Buffer, random: Random): Secrets {
  if (key.length !== KEY_BYTES) throw new Error(`a secret key has ${KEY_BYTES} bytes, not ${key.length}`)
  const keyId = createHash('sha256').update('entrepot.key-id.v1').update(key).digest('hex').slice(0, 8)
  const additional = (place: string) => Buffer.from(`${FORMAT}.${keyId}.${place}`)
  return {
    encrypt(plain, place) {
      const nonce = random.bytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(additional(place))
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return [FORMAT, keyId, Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')].join('.')
    },
    decrypt(text, place) {
      const [format, id, payload = ''] = text.split('.')
      if (format !== FORMAT) throw unreadableSecret(place, `its format ${format} is not known`)
      if (id !== keyId)
        throw unreadableSecret(place, 'it was encrypted with another key: restore the key, or enter the secret again')
      const bytes = Buffer.from(payload, 'base64url')
      const nonce = bytes.subarray(0, NONCE_BYTES)
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
        decipher.setAAD(additional(place)).setAuthTag(tag)
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString()
      } catch (cause) {
        throw unreadableSecret(place, 'it was changed', cause)
      }
    },
  }
}

/**
 * @param text 32 bytes as 64 hex digits or as base64, else a passphrase of at least 12 characters.
 * @throws AppError PARAMETER_INVALID naming `secretKey`, never showing it.
 */
export function parseSecretKey(text: string): Buffer {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64url')
  if (text.length < MIN_PASSPHRASE_LENGTH) {
    const why = `32 bytes in hex or base64, or a passphrase of at least ${MIN_PASSPHRASE_LENGTH} characters`
    throw new AppError('PARAMETER_INVALID', `secretKey is invalid: ${why}`, { name: 'secretKey' })
  }
  return scryptSync(text.normalize('NFC'), SCRYPT_SALT, KEY_BYTES, SCRYPT)
}

const unreadableSecret = (place: string, why: string, cause?: unknown): AppError =>
  new AppError('SYSTEM_ERROR', `The secret of ${place} cannot be read: ${why}`, { place }, { cause })
