import type { Clock } from '../core/clock.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { BearerKeys } from './bearer-keys.ts'
import type { Principal } from './principal.ts'
import { createSignedTokens } from './signed-tokens.ts'

/**
 * What a client of a registry keeps instead of a password: good for one thing, to ask for bearer tokens. A change of the password, a
 * lock, or anything else that ends the logins of a user ends it as well.
 */
export interface RefreshTokens {
  /** Undefined: there is no such user any more. */
  issue(userId: string): Promise<string | undefined>
  /** Whose it is; undefined: it is none of ours, has expired, or its user must log in again. */
  verify(token: string): Promise<Principal | undefined>
}

const DAY_S = 86_400
/** Keys stay for longer once they are replaced (`bearer-keys.ts`). */
export const REFRESH_TOKEN_S = 30 * DAY_S

export function createRefreshTokens(deps: {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly keys: BearerKeys
  readonly clock: Clock
  readonly issuer: string
}): RefreshTokens {
  const { db } = deps
  const tokens = createSignedTokens({ ...deps, audience: 'entrepot-refresh' })
  return {
    async issue(userId) {
      const account = await findUser(db.read, userId)
      if (account === undefined || account.locked) return undefined
      const { token } = await tokens.sign(userId, { stamp: account.credentialStamp }, REFRESH_TOKEN_S)
      return token
    },
    async verify(token) {
      const claims = await tokens.verify(token)
      const account = claims === undefined ? undefined : await findUser(db.read, claims.sub)
      if (account === undefined || account.locked || account.credentialStamp !== claims!.stamp) return undefined
      return { userId: account.userId, admin: account.admin }
    },
  }
}
