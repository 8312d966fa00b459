import { join } from 'node:path'
import { createAuditLog } from '../auth/audit-log.ts'
import { createAuthentication } from '../auth/authentication.ts'
import { configuredKeys, keysInFolder } from '../auth/bearer-keys.ts'
import { createBearerTokens } from '../auth/bearer-tokens.ts'
import { createLoginThrottle } from '../auth/login-throttle.ts'
import { createPasswordChange } from '../auth/password-change.ts'
import type { Passwords } from '../auth/passwords.ts'
import { createPlatformAccounts } from '../auth/platform-accounts.ts'
import { createPlatformLogins } from '../auth/platform-logins.ts'
import { createRefreshTokens } from '../auth/refresh-tokens.ts'
import type { Users } from '../auth/users.ts'
import type { Ground } from './ground.ts'

/** Who a request comes from, and what is kept of it. */
export function createIdentity(ground: Ground, users: Users, passwords: Passwords) {
  const { config, db, clock, random, clusterId } = ground
  const { auth } = config
  const bearerKeys =
    auth.tokenKey === undefined
      ? keysInFolder({ path: join(config.data, 'keys'), clock, random })
      : configuredKeys(auth.tokenKey)
  const bearerTokens = createBearerTokens({ db, keys: bearerKeys, clock, issuer: clusterId })
  const platformLogins = createPlatformLogins({
    ...{ db, users, clock, random },
    unknownUsers: auth.platformAutoCreateUser ? 'create' : 'refuse',
  })
  const throttle = createLoginThrottle(clock, { ...auth, windowMs: auth.failureWindowMs })
  return {
    authentication: createAuthentication({ db, passwords, clock, random, throttle, bearerTokens, platformLogins }),
    changePassword: createPasswordChange({ users, throttle, random }),
    accounts: createPlatformAccounts({ db, clock, random }),
    audit: createAuditLog({
      ...{ db, clock, reserveDays: config.audit.reserveDays },
      onError: (error) => ground.warn('refusals were not written to the audit log', { err: error }),
    }),
    refreshTokens: createRefreshTokens({ db, keys: bearerKeys, clock, issuer: clusterId }),
    ...{ bearerKeys, bearerTokens },
  }
}
