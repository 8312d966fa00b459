import type { JWTPayload } from 'jose'
import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { BearerKeys } from './bearer-keys.ts'
import { ACTIONS, type Action } from './grants.ts'
import { ANONYMOUS } from './principal.ts'
import { isRepositoryScope, type TokenScope } from './principal-scope.ts'
import { createSignedTokens } from './signed-tokens.ts'
import { userNotFound } from './users.ts'

export interface BearerRequest {
  /** `anonymous` for callers without credentials, who may have a token for what is public. */
  readonly userId: string
  /** What the token may be used for at most. Not checked here: a right that the user loses is lost to the token too. */
  readonly scopes: readonly TokenScope[]
  /** 1 to `MAX_TOKEN_S`. */
  readonly expiresInS: number
}

export interface BearerClaims {
  readonly userId: string
  readonly scopes: readonly TokenScope[]
  /** Of the account when it was issued; undefined for `anonymous`. */
  readonly credentialStamp: number | undefined
  /** UTC epoch milliseconds. */
  readonly expiresAt: number
}

/** Short-lived signed tokens (JWT, ES256) that stand for a login and are good for some repositories and actions only. */
export interface BearerTokens {
  /**
   * `issuedAt` is in UTC epoch milliseconds.
   * @throws AppError USER_NOT_FOUND, PERMISSION_DENIED for a locked user, PARAMETER_INVALID naming `expiresInS` or `scopes`.
   */
  issue(
    request: BearerRequest,
  ): Promise<{ readonly token: string; readonly issuedAt: number; readonly expiresInS: number }>
  /** Undefined: it is none of ours, was changed, or has expired. Whether its user is still there is the caller's question. */
  verify(token: string): Promise<BearerClaims | undefined>
}

interface BearerTokenDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly keys: BearerKeys
  readonly clock: Clock
  /** Of this cluster: tokens of another one are refused. */
  readonly issuer: string
}

/** Keys stay for longer once they are replaced. */
export const MAX_TOKEN_S = 86_400
/** Each is looked at for each request. */
const MAX_SCOPES = 100

export function createBearerTokens({ db, keys, clock, issuer }: BearerTokenDeps): BearerTokens {
  const tokens = createSignedTokens({ keys, clock, issuer, audience: 'entrepot' })
  async function stampOf(userId: string): Promise<number | undefined> {
    if (userId === ANONYMOUS.userId) return undefined
    const account = await findUser(db.read, userId)
    if (account === undefined) throw userNotFound(userId)
    if (account.locked) throw new AppError('PERMISSION_DENIED', `Access denied: user ${userId} is locked`, { userId })
    return account.credentialStamp
  }
  return {
    async issue({ userId, scopes, expiresInS }) {
      if (!Number.isSafeInteger(expiresInS) || expiresInS < 1 || expiresInS > MAX_TOKEN_S) {
        throw invalid('expiresInS', `1 to ${MAX_TOKEN_S}`)
      }
      if (scopes.length > MAX_SCOPES) throw invalid('scopes', `at most ${MAX_SCOPES}`)
      const signed = await tokens.sign(userId, { scopes, stamp: await stampOf(userId) }, expiresInS)
      return { ...signed, expiresInS }
    },
    async verify(token) {
      const payload = await tokens.verify(token)
      return payload && claimsOf(payload)
    },
  }
}

/** What we signed ourselves, maybe in an earlier release: anything that is not understood makes the token useless, not wider. */
function claimsOf({ sub, exp, stamp, scopes }: JWTPayload): BearerClaims | undefined {
  if (sub === undefined || exp === undefined || !Array.isArray(scopes)) return undefined
  if (sub !== ANONYMOUS.userId && typeof stamp !== 'number') return undefined
  const known = (scopes as readonly TokenScope[]).map((scope): TokenScope => {
    if (!isRepositoryScope(scope)) return scope
    const { repository, actions } = scope
    return { repository, actions: actions.filter((action): action is Action => ACTIONS.includes(action)) }
  })
  return { userId: sub, scopes: known, credentialStamp: stamp as number | undefined, expiresAt: exp * 1000 }
}
