import { createHmac } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { findTokenOwner } from '../metadata/user-tokens.ts'
import { findUser, type UserAccount } from '../metadata/users.ts'
import { type Credentials, parseAuthorization, refused } from './authorization-header.ts'
import type { Passwords } from './passwords.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { looksLikeToken, tokenHash } from './tokens.ts'
import { isUserId } from './user-rules.ts'

export interface Authentication {
  /**
   * @param authorization the header as it came; without one the caller is ANONYMOUS.
   * @throws AppError UNAUTHENTICATED for wrong credentials, PERMISSION_DENIED for a locked user, TOO_MANY_REQUESTS.
   */
  authenticate(authorization: string | undefined): Promise<Principal>
}

interface AuthenticationDeps {
  readonly db: MetadataDatabase
  readonly passwords: Passwords
  readonly clock: Clock
  readonly random: Random
}

/** A login that was verified. Void when the user's row has another stamp or password by now. */
interface Verified {
  readonly userId: string
  readonly credentialStamp: number
  readonly passwordHash: string
  /** UTC epoch milliseconds. */
  readonly until: number
}

const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 10_000

/**
 * The slow hash runs once per login and minute, not once per request: verified credentials are remembered under an HMAC with a
 * secret of this process. Each request still reads the user's row by its key, so that a change of password, token, lock, role or a
 * deletion counts at once, whichever node made it.
 */
export function createAuthentication({ db, passwords, clock, random }: AuthenticationDeps): Authentication {
  const processSecret = random.bytes(32)
  const remembered = new Map<string, Verified>()
  const running = new Map<string, Promise<void>>()

  function keyOf(credentials: Credentials): string {
    const user = credentials.scheme === 'basic' ? credentials.userId : ''
    // Neither part can look like the end of the other: the first one is told by its length.
    const text = `${credentials.scheme}:${user.length}:${user}:${credentials.secret}`
    return createHmac('sha256', processSecret).update(text).digest('base64')
  }

  async function recall(key: string): Promise<UserAccount | undefined> {
    const known = remembered.get(key)
    if (known === undefined) return undefined
    const account = known.until > clock.now() ? await findUser(db.read, known.userId) : undefined
    const valid = account?.credentialStamp === known.credentialStamp && account.passwordHash === known.passwordHash
    if (valid) return account
    remembered.delete(key)
    return undefined
  }

  /** Equal logins at the same time are one verification. */
  function verifyOnce(key: string, credentials: Credentials): Promise<void> {
    const work =
      running.get(key) ??
      verify(credentials)
        .then((verified) => remember(key, verified))
        .finally(() => running.delete(key))
    running.set(key, work)
    return work
  }

  function remember(key: string, verified: Verified | undefined): void {
    if (verified === undefined) return
    remembered.delete(key)
    remembered.set(key, verified)
    for (const oldest of remembered.keys()) {
      if (remembered.size <= MAX_REMEMBERED) break
      remembered.delete(oldest)
    }
  }

  async function verify(credentials: Credentials): Promise<Verified | undefined> {
    const { scheme, secret } = credentials
    const byToken = scheme === 'bearer' || looksLikeToken(secret) ? await tokenLogin(credentials) : undefined
    if (byToken !== undefined || scheme === 'bearer') return byToken
    const account = isUserId(credentials.userId) ? await findUser(db.read, credentials.userId) : undefined
    const right = await passwords.verify(secret, account?.passwordHash)
    return account !== undefined && right ? verifiedAs(account, Infinity) : undefined
  }

  async function tokenLogin(credentials: Credentials): Promise<Verified | undefined> {
    const owner = await findTokenOwner(db.read, tokenHash(credentials.secret))
    const expiresAt = owner?.expiresAt ?? Infinity
    if (owner === undefined || expiresAt <= clock.now()) return undefined
    if (credentials.scheme === 'basic' && credentials.userId !== owner.userId) return undefined
    const account = await findUser(db.read, owner.userId)
    // The token may have gone between the two reads: its deletion raised the stamp that was read second.
    const stillThere = await findTokenOwner(db.read, tokenHash(credentials.secret))
    return account === undefined || stillThere === undefined ? undefined : verifiedAs(account, expiresAt)
  }

  function verifiedAs({ userId, credentialStamp, passwordHash }: UserAccount, expiresAt: number): Verified {
    return { userId, credentialStamp, passwordHash, until: Math.min(clock.now() + REMEMBERED_MS, expiresAt) }
  }

  return {
    async authenticate(authorization) {
      const credentials = parseAuthorization(authorization)
      if (credentials === undefined) return ANONYMOUS
      const key = keyOf(credentials)
      let account = await recall(key)
      if (account === undefined) {
        await verifyOnce(key, credentials)
        // Read again: whoever joined a running verification may have come after the row it read had changed.
        account = await recall(key)
      }
      if (account === undefined) throw refused('wrong user, password or token')
      if (account.locked) throw new AppError('PERMISSION_DENIED', `Access denied: user ${account.userId} is locked`)
      return { userId: account.userId, admin: account.admin }
    },
  }
}
