import { hash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import { findTokenOwner } from '../metadata/access/user-tokens.ts'
import { findUser, type UserAccount } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type Credentials, parseAuthorization, refused } from './authorization-header.ts'
import type { BearerTokens } from './bearer-tokens.ts'
import type { LoginThrottle } from './login-throttle.ts'
import type { Passwords } from './passwords.ts'
import { isAccessKey } from './platform-accounts.ts'
import type { LoginSource, PlatformLogins } from './platform-logins.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { coversOfToken } from './principal-scope.ts'
import { looksLikeBearer } from './signed-tokens.ts'
import { looksLikeToken, tokenHash } from './tokens.ts'
import { isUserId } from './user-rules.ts'
import { createVerifiedLogins, type RecalledLogin, type VerifiedLogin } from './verified-logins.ts'

export interface Authentication {
  /**
   * @param authorization the header as it came; without one the caller is ANONYMOUS.
   * @throws AppError UNAUTHENTICATED for wrong credentials, PERMISSION_DENIED for a locked user, TOO_MANY_REQUESTS. Its `detail` has
   * `userId`, `appId` or `accessKey`, whom the caller said to be.
   */
  authenticate(authorization: string | undefined, source?: LoginSource): Promise<Principal>
}

export interface AuthenticationDeps {
  readonly db: MetadataDatabase
  readonly passwords: Passwords
  readonly clock: Clock
  readonly random: Random
  readonly throttle: LoginThrottle
  readonly bearerTokens: BearerTokens
  readonly platformLogins: PlatformLogins
}

type UserCredentials = Exclude<Credentials, { scheme: 'platform' }>
type PlatformCredentials = Extract<Credentials, { scheme: 'platform' }>

const REMEMBERED_MS = 60_000
/** Pushes and pulls of one client come with one. */
const MOST_SIGNED = 256
/** Longer texts name nobody; cut, they are kept in memory without harm. */
const MAX_SUBJECT_LENGTH = 64

/**
 * The slow hash runs once per login and minute, not once per request: verified credentials are remembered under a hash that is
 * keyed with a secret of this process, and that nobody outside ever sees. Each request still reads the user's row by its key, so that a change of password, token, lock, role or a
 * deletion counts at once, whichever node made it.
 */
export function createAuthentication(deps: AuthenticationDeps): Authentication {
  const { db, passwords, clock, random, throttle, bearerTokens, platformLogins } = deps
  const processSecret = random.bytes(32).toString('hex')
  const logins = createVerifiedLogins(db, clock)
  const running = new Map<string, Promise<void>>()
  /**
   * Headers with signed tokens that were good, by what they say: reading and hashing one takes longer than all the rest. They end by
   * themselves; what does not is never kept as it came.
   */
  const signed = new Map<string, { readonly credentials: UserCredentials; readonly key: string }>()

  /** Stands for the credentials without telling them. */
  function fingerprintOf(credentials: Credentials): string {
    const { scheme, secret } = credentials
    const subject = subjectOf(credentials)
    // Neither part can look like the end of the other: the first one is told by its length.
    const text = `${scheme}:${subject.length}:${subject}:${secret}`
    return hash('sha256', `${processSecret}:${text}`, 'base64')
  }

  function beginAttempt(credentials: Credentials, fingerprint: string, { address = '' }: LoginSource) {
    const subject = subjectOf(credentials).slice(0, MAX_SUBJECT_LENGTH)
    return throttle.begin({ subject, address, fingerprint, claimed: claimedBy(credentials) })
  }

  /** Equal logins from one address at the same time are one verification. */
  function verifyOnce(key: string, credentials: UserCredentials, source: LoginSource): Promise<void> {
    const place = `${key} ${source.address ?? ''}`
    const work =
      running.get(place) ??
      verify(key, credentials, source)
        .then((verified) => {
          if (verified !== undefined) logins.remember(key, verified)
        })
        .finally(() => running.delete(place))
    running.set(place, work)
    return work
  }

  /** What nobody can guess is looked at first, and throttled only when it is wrong: others at the same address may log in. */
  async function verify(
    key: string,
    credentials: UserCredentials,
    source: LoginSource,
  ): Promise<VerifiedLogin | undefined> {
    const byToken = await randomSecretLogin(credentials)
    if (byToken !== undefined) return byToken
    const attempt = beginAttempt(credentials, key, source)
    try {
      const byPassword = credentials.scheme === 'basic' ? await passwordLogin(credentials) : undefined
      if (byPassword === undefined) attempt.failed()
      else attempt.succeeded()
      return byPassword
    } catch (error) {
      attempt.abandoned()
      throw error
    }
  }

  async function randomSecretLogin(credentials: UserCredentials): Promise<VerifiedLogin | undefined> {
    const { scheme, secret } = credentials
    if (scheme === 'bearer' && looksLikeBearer(secret)) return bearerLogin(secret)
    return scheme === 'bearer' || looksLikeToken(secret) ? tokenLogin(credentials) : undefined
  }

  async function passwordLogin({ userId, secret }: { readonly userId: string; readonly secret: string }) {
    const account = isUserId(userId) ? await findUser(db.read, userId) : undefined
    const right = await passwords.verify(secret, account?.passwordHash)
    return account !== undefined && right ? verifiedAs(account, Infinity) : undefined
  }

  async function bearerLogin(token: string): Promise<VerifiedLogin | undefined> {
    const claims = await bearerTokens.verify(token)
    if (claims === undefined) return undefined
    const { userId, credentialStamp, expiresAt, scopes } = claims
    return { userId, credentialStamp, until: rememberedUntil(expiresAt), covers: coversOfToken(scopes) }
  }

  async function tokenLogin(credentials: UserCredentials): Promise<VerifiedLogin | undefined> {
    const owner = await findTokenOwner(db.read, tokenHash(credentials.secret))
    const expiresAt = owner?.expiresAt ?? Infinity
    if (owner === undefined || expiresAt <= clock.now()) return undefined
    if (credentials.scheme === 'basic' && credentials.userId !== owner.userId) return undefined
    const account = await findUser(db.read, owner.userId)
    // The token may have gone between the two reads: its deletion raised the stamp that was read second.
    const stillThere = await findTokenOwner(db.read, tokenHash(credentials.secret))
    return account === undefined || stillThere === undefined ? undefined : verifiedAs(account, expiresAt)
  }

  function verifiedAs({ userId, credentialStamp, passwordHash }: UserAccount, expiresAt: number): VerifiedLogin {
    return { userId, credentialStamp, passwordHash, until: rememberedUntil(expiresAt) }
  }
  const rememberedUntil = (expiresAt: number) => Math.min(clock.now() + REMEMBERED_MS, expiresAt)

  async function userLogin(credentials: UserCredentials, key: string, source: LoginSource): Promise<Principal> {
    let recalled = await logins.recall(key)
    if (recalled === undefined) {
      await verifyOnce(key, credentials, source)
      // Read again: whoever joined a running verification may have come after the row it read had changed.
      recalled = await logins.recall(key)
    }
    if (recalled === undefined) throw refused('wrong user, password or token', claimedBy(credentials))
    return principalOf(recalled)
  }

  async function platformLogin(credentials: PlatformCredentials, source: LoginSource): Promise<Principal> {
    const { accessKey, secret } = credentials
    const principal = await platformLogins.login(accessKey, secret, source)
    if (principal !== undefined) return principal
    beginAttempt(credentials, fingerprintOf(credentials), source).failed()
    throw refused('wrong access key or secret key', claimedBy(credentials))
  }

  return {
    async authenticate(authorization, source = {}) {
      const known = authorization === undefined ? undefined : signed.get(authorization)
      if (known !== undefined) return userLogin(known.credentials, known.key, source)
      const credentials = parseAuthorization(authorization)
      if (credentials === undefined) return ANONYMOUS
      if (credentials.scheme === 'platform') return platformLogin(credentials, source)
      const key = fingerprintOf(credentials)
      const principal = await userLogin(credentials, key, source)
      if (credentials.scheme === 'bearer' && looksLikeBearer(credentials.secret)) {
        if (signed.size >= MOST_SIGNED) signed.clear()
        signed.set(authorization!, { credentials, key })
      }
      return principal
    },
  }
}

function principalOf({ login, account }: RecalledLogin): Principal {
  const limit = login.covers === undefined ? {} : { covers: login.covers }
  if (account === undefined) return { ...ANONYMOUS, ...limit }
  const { userId, admin, locked } = account
  if (locked) throw new AppError('PERMISSION_DENIED', `Access denied: user ${userId} is locked`, { userId })
  return { userId, admin, ...limit }
}

function subjectOf(credentials: Credentials): string {
  switch (credentials.scheme) {
    case 'basic':
      return credentials.userId
    case 'platform':
      return credentials.accessKey
    case 'bearer':
      return ''
  }
}

/** Only what has the form of a name: somebody may have sent a secret in its place. */
function claimedBy(credentials: Credentials): { readonly userId?: string; readonly accessKey?: string } {
  const { scheme } = credentials
  if (scheme === 'basic' && isUserId(credentials.userId)) return { userId: credentials.userId }
  if (scheme === 'platform' && isAccessKey(credentials.accessKey)) return { accessKey: credentials.accessKey }
  return {}
}
