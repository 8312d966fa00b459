import { createHmac, hash, scrypt, timingSafeEqual } from 'node:crypto'
import type { Random } from '../../core/ids.ts'
import { brokenManifest } from './manifest-text.ts'

/**
 * What stands in `manifest.sha256`: without a passphrase the digest, as `sha256sum` writes it; with one an HMAC whose key comes from it,
 * so that nobody without the passphrase can change the manifest, and with it any record of the run.
 */
export interface ManifestSeal {
  /** @returns the content of the file. */
  seal(manifest: Buffer): Promise<string>
  /**
   * @param takes `legacy`: also a mere digest, though there is a passphrase: of a backup from before it.
   * @throws AppError ARTIFACT_BROKEN saying why it is not what was sealed.
   */
  check(manifest: Buffer, seal: string, takes: 'whole' | 'legacy'): Promise<void>
}

const DIGEST = /^([0-9a-f]{64})(?: [ *]manifest\.json)?\r?\n?$/
const KEYED = /^hmac-sha256 ([0-9a-f]{32}) ([0-9a-f]{64})\n?$/
const SALT_BYTES = 16
const KEY_BYTES = 32
/** 32 MiB and a tenth of a second per guess. Source: RFC 7914, section 2. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

export function createManifestSeal(passphrase: string | undefined, random: Pick<Random, 'bytes'>): ManifestSeal {
  return {
    async seal(manifest) {
      if (passphrase === undefined) return `${hash('sha256', manifest)}  manifest.json\n`
      const salt = random.bytes(SALT_BYTES)
      return `hmac-sha256 ${salt.toString('hex')} ${(await hmacOf(manifest, passphrase, salt)).toString('hex')}\n`
    },
    async check(manifest, seal, takes) {
      const [, salt, keyed] = KEYED.exec(seal) ?? []
      const [, digest] = DIGEST.exec(seal) ?? []
      if (salt !== undefined && keyed !== undefined) {
        if (passphrase === undefined) {
          throw brokenManifest('it was sealed with a passphrase, and this server has none: set backup.passphrase')
        }
        const computed = await hmacOf(manifest, passphrase, Buffer.from(salt, 'hex'))
        if (timingSafeEqual(computed, Buffer.from(keyed, 'hex'))) return
        throw brokenManifest('it is not what was sealed, or was sealed with another passphrase')
      }
      if (digest === undefined) throw brokenManifest('manifest.sha256 holds no digest')
      if (passphrase !== undefined && takes === 'whole') {
        throw brokenManifest(
          'it was not sealed with the passphrase that this server has: anybody may have changed it. Restore with legacy=true takes it',
        )
      }
      if (hash('sha256', manifest) !== digest) throw brokenManifest('it is not what manifest.sha256 says')
    },
  }
}

async function hmacOf(manifest: Buffer, passphrase: string, salt: Buffer): Promise<Buffer> {
  const key = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase, Buffer.concat([Buffer.from('manifest '), salt]), KEY_BYTES, COST, (error, derived) =>
      error ? reject(error) : resolve(derived),
    )
  })
  return createHmac('sha256', key).update(manifest).digest()
}
