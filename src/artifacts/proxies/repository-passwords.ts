import type { Secrets } from '../../auth/secrets.ts'
import type { Reader, Transaction } from '../../metadata/database.ts'
import { listProxySecrets, replaceProxySecrets } from '../../metadata/storage/proxy-secrets.ts'
import type { PasswordPlan } from './upstream-fields.ts'

/** Passwords that repositories send to their upstreams: encrypted, apart from the configuration that everybody reads. */
export interface RepositoryPasswords {
  /** Keeps these and no others. */
  save(trx: Transaction, repoId: number, plans: readonly PasswordPlan[]): Promise<void>
  /** In clear, by slot. @throws AppError SYSTEM_ERROR when the key is another one. */
  read(reader: Reader, repoId: number): Promise<ReadonlyMap<string, string>>
}

export function createRepositoryPasswords(secrets: Secrets): RepositoryPasswords {
  return {
    async save(trx, repoId, plans) {
      const stored = await listProxySecrets(trx, repoId)
      const kept = plans.flatMap(({ slot, value }): [string, string][] => {
        if (value !== 'kept') return [[slot, secrets.encrypt(value.given, passwordPlace(repoId, slot))]]
        const secret = stored.get(slot)
        return secret === undefined ? [] : [[slot, secret]]
      })
      if (stored.size > 0 || kept.length > 0) await replaceProxySecrets(trx, repoId, new Map(kept))
    },
    async read(reader, repoId) {
      const stored = await listProxySecrets(reader, repoId)
      return new Map([...stored].map(([slot, secret]) => [slot, secrets.decrypt(secret, passwordPlace(repoId, slot))]))
    },
  }
}

/** Binds the ciphertext to its row: put into another one, it cannot be read. */
export const passwordPlace = (repoId: number, slot: string): string => `repository/${repoId}/${slot}`
