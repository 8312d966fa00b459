import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { Clock } from '../core/clock.ts'
import type { BearerKeys } from './bearer-keys.ts'

/** JSON web tokens (ES256) of one kind: one that is for another purpose does not verify. */
export interface SignedTokens {
  /** `issuedAt` is in UTC epoch milliseconds. */
  sign(subject: string, claims: JWTPayload, expiresInS: number): Promise<{ token: string; issuedAt: number }>
  /** Undefined: it is none of ours, was changed, or has expired. */
  verify(token: string): Promise<(JWTPayload & { readonly sub: string; readonly exp: number }) | undefined>
}

interface SignedTokenDeps {
  readonly keys: BearerKeys
  readonly clock: Clock
  /** Of this cluster: tokens of another one are refused. */
  readonly issuer: string
  /** What they are for. */
  readonly audience: string
}

/** Limits what an attacker can have verified. */
const MAX_TOKEN_LENGTH = 16 * 1024
const ALGORITHM = 'ES256'

export const looksLikeBearer = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

export function createSignedTokens({ keys, clock, issuer, audience }: SignedTokenDeps): SignedTokens {
  return {
    async sign(subject, claims, expiresInS) {
      const issuedAtS = Math.floor(clock.now() / 1000)
      const key = await keys.signing()
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid: key.id, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(subject)
        .setIssuedAt(issuedAtS)
        .setExpirationTime(issuedAtS + expiresInS)
        .sign(key.privateKey)
      return { token, issuedAt: issuedAtS * 1000 }
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
          audience,
          currentDate: new Date(clock.now()),
          requiredClaims: ['sub', 'exp'],
        })
        const { sub, exp } = payload
        return sub === undefined || exp === undefined ? undefined : { ...payload, sub, exp }
      } catch (error) {
        // `TypeError`: the header is no JSON.
        if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
        throw error
      }
    },
  }
}
