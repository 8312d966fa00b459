import { generateKeyPairSync } from 'node:crypto'
import { createAuditLog } from '../../src/auth/audit-log.ts'
import { createAuthentication } from '../../src/auth/authentication.ts'
import { type BearerKeys, configuredKeys } from '../../src/auth/bearer-keys.ts'
import { createBearerTokens } from '../../src/auth/bearer-tokens.ts'
import { createLoginThrottle, type LoginThrottle, type ThrottleLimits } from '../../src/auth/login-throttle.ts'
import { createPasswordChange } from '../../src/auth/password-change.ts'
import { createPasswords, type Passwords } from '../../src/auth/passwords.ts'
import { createPlatformAccounts } from '../../src/auth/platform-accounts.ts'
import { createPlatformLogins } from '../../src/auth/platform-logins.ts'
import { createUserTokens } from '../../src/auth/user-tokens.ts'
import { createUsers } from '../../src/auth/users.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { seededRandom } from './ids.ts'

export interface IdentityOptions {
  readonly clock?: ManualClock
  /** Instead of slow hashes. */
  readonly passwords?: Passwords
  readonly limits?: Partial<ThrottleLimits>
  readonly unknownUsers?: 'create' | 'refuse'
  readonly keys?: BearerKeys
}

/** As the server has them: 15 minutes. */
export const LIMITS: ThrottleLimits = {
  loginFailures: 5,
  userFailures: 50,
  addressFailures: 100,
  windowMs: 900_000,
  longestWaitMs: 900_000,
}

const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
export const TEST_KEYS = configuredKeys(pem.toString())

/** Users, tokens, accounts, logins and the audit log on one database. */
export function identityServices(db: MetadataDatabase, options: IdentityOptions = {}) {
  const { clock = manualClock(), limits, unknownUsers = 'create', keys = TEST_KEYS } = options
  const random = seededRandom()
  const passwords = options.passwords ?? createPasswords(random)
  const users = createUsers({ db, passwords, clock, random })
  const bearerTokens = createBearerTokens({ db, keys, clock, issuer: 'here' })
  const login = (throttle: LoginThrottle) =>
    createAuthentication({
      ...{ db, passwords, clock, random, bearerTokens, throttle },
      platformLogins: createPlatformLogins({ db, users, clock, random, unknownUsers }),
    })
  const throttle = createLoginThrottle(clock, { ...LIMITS, ...limits })
  const raise = (error: unknown) => {
    throw error
  }
  return {
    ...{ clock, random, users, bearerTokens },
    tokens: createUserTokens({ db, clock, random }),
    accounts: createPlatformAccounts({ db, clock, random }),
    audit: createAuditLog({ db, clock, reserveDays: 180, onError: raise }),
    changePassword: createPasswordChange({ users, throttle, random }),
    authentication: login(throttle),
    /** Another process on the same database. */
    elsewhere: login(createLoginThrottle(clock, { ...LIMITS, ...limits })),
  }
}
export type IdentityServices = ReturnType<typeof identityServices>

export const basic = (user: string, secret: string): string =>
  `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
export const platform = ({ accessKey, secretKey }: { accessKey: string; secretKey: string }): string =>
  `Platform ${Buffer.from(`${accessKey}:${secretKey}`).toString('base64')}`

/** Hashes at once, for tests that are not about hashing. */
export const QUICK_PASSWORDS: Passwords = {
  hash: async (password) => `quick:${password}`,
  verify: async (password, phc) => phc === `quick:${password}`,
}
