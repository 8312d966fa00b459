import { argon2Sync } from 'node:crypto'
import { insertUser } from '../../src/metadata/access/users.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'

export const ADMINISTRATOR = { user: 'admin', password: 'correct-horse-battery' }

/** Makes the first administrator as a start of a server does, but with a hash that is checked at once instead of in 50 ms. */
export async function insertAdministrator(db: MetadataDatabase): Promise<void> {
  const { user, password } = ADMINISTRATOR
  const by = { createdBy: 'system', createdAt: 1, modifiedBy: 'system', modifiedAt: 1 }
  const account = { userId: user, name: user, passwordHash: quickHash(password), admin: true, locked: false }
  await db.transact((trx) => insertUser(trx, { ...account, email: null, phone: null, credentialStamp: 1, ...by }))
}

/** argon2id with the least cost there is: a server checks a hash with the cost that it names. */
function quickHash(password: string): string {
  const nonce = Buffer.alloc(16, 7)
  const tag = argon2Sync('argon2id', { memory: 8, passes: 1, parallelism: 1, tagLength: 32, nonce, message: password })
  const [salt, hash] = [nonce, tag].map((bytes) => bytes.toString('base64').replace(/=+$/, ''))
  return `$argon2id$v=19$m=8,t=1,p=1$${salt}$${hash}`
}
