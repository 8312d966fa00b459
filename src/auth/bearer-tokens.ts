import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { BearerKeys } from './bearer-keys.ts'
import { ACTIONS, type Action } from './grants.ts'
import { ANONYMOUS } from './principal.ts'
import type { TokenScope } from './principal-scope.ts'
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

/** Keys stay for twice as long once they are replaced. */
export const MAX_TOKEN_S = 86_400
/** Each is looked at for each request. */
const MAX_SCOPES = 100
/** Limits what an attacker can have verified. */
const MAX_TOKEN_LENGTH = 16 * 1024
const ALGORITHM = 'ES256'
const AUDIENCE = 'entrepot'

export const looksLikeBearer = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

export function createBearerTokens({ db, keys, clock, issuer }: BearerTokenDeps): BearerTokens {
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
      const issuedAtS = Math.floor(clock.now() / 1000)
      const key = await keys.signing()
      const token = await new SignJWT({ scopes, stamp: await stampOf(userId) })
        .setProtectedHeader({ alg: ALGORITHM, kid: key.id, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setSubject(userId)
        .setIssuedAt(issuedAtS)
        .setExpirationTime(issuedAtS + expiresInS)
        .sign(key.privateKey)
      return { token, issuedAt: issuedAtS * 1000, expiresInS }
    },
    async verify(token) {
      if (token.length > MAX_TOKEN_LENGTH || !looksLikeBearer(token)) return undefined
      try {
        const { kid } = decodeProtectedHeader(token)
        const key = typeof kid === 'string' ? await keys.find(kid) : undefined
        if (key === undefined) return undefined
        const { payload } = await jwtVerify(token, key.publicKey, {
          algorithms: [ALGORITHM],
          issuer,
          audience: AUDIENCE,
          currentDate: new Date(clock.now()),
          requiredClaims: ['sub', 'exp', 'scopes'],
        })
        return claimsOf(payload)
      } catch (error) {
        // `TypeError`: the header is no JSON.
        if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
        throw error
      }
    },
  }
}

/** What we signed ourselves, maybe in an earlier release: anything that is not understood makes the token useless, not wider. */
function claimsOf({ sub, exp, stamp, scopes }: JWTPayload): BearerClaims | undefined {
  if (sub === undefined || exp === undefined || !Array.isArray(scopes)) return undefined
  if (sub !== ANONYMOUS.userId && typeof stamp !== 'number') return undefined
  const known = (scopes as readonly TokenScope[]).map(({ repository, actions }) => ({
    repository,
    actions: actions.filter((action): action is Action => ACTIONS.includes(action)),
  }))
  return { userId: sub, scopes: known, credentialStamp: stamp as number | undefined, expiresAt: exp * 1000 }
}
