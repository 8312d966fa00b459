import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { AppError, hasCode, invalid } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import { insertAuditEntries } from '../metadata/access/audit-log.ts'
import { findPlatformLogin, type PlatformAccount } from '../metadata/access/platform-accounts.ts'
import { findUser, type UserAccount } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { refused } from './authorization-header.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { COVERS_SERVICE, coversOfApp, scopeOfAccount } from './principal-scope.ts'
import { tokenHash } from './tokens.ts'
import { isUserId } from './user-rules.ts'
import type { Users } from './users.ts'

/** Where a login comes from and for whom. */
export interface LoginSource {
  /** As text; empty: not known. */
  readonly address?: string | undefined
  /** `X-BKREPO-UID`: whom a platform account acts for. Without meaning for others. */
  readonly actsFor?: string | undefined
  readonly traceId?: string | undefined
}

export interface PlatformLogins {
  /**
   * Undefined: the pair is wrong. Reads the rows each time: what is locked, disabled or deleted counts at once.
   * @throws AppError UNAUTHENTICATED for a locked account or a disabled pair, PERMISSION_DENIED for a locked user or an unknown one
   * that is not to be made, PARAMETER_INVALID for a user id that cannot be one.
   */
  login(accessKey: string, secret: string, source: LoginSource): Promise<Principal | undefined>
}

interface PlatformLoginDeps {
  readonly db: MetadataDatabase
  readonly users: Pick<Users, 'create'>
  readonly clock: Clock
  readonly random: Random
  /** `create`: a user that an account names and nobody made is made, without rights and with a password that nobody knows. */
  readonly unknownUsers: 'create' | 'refuse'
}

const NO_HASH = Buffer.alloc(32)
const UNKNOWN_PASSWORD_BYTES = 48

export function createPlatformLogins({ db, users, clock, random, unknownUsers }: PlatformLoginDeps): PlatformLogins {
  async function userOf(userId: string, appId: string, source: LoginSource): Promise<UserAccount> {
    if (!isUserId(userId)) throw invalid('X-BKREPO-UID', 'it is no user id')
    const known = await findUser(db.read, userId)
    if (known !== undefined) return known
    if (unknownUsers === 'refuse') {
      throw new AppError('PERMISSION_DENIED', `Access denied: there is no user ${userId}`, { userId, appId })
    }
    await makeUser(userId, appId, source)
    const made = await findUser(db.read, userId)
    if (made === undefined) throw refused(`user ${userId} was deleted meanwhile`, { userId, appId })
    return made
  }

  async function makeUser(userId: string, appId: string, { address = '', traceId = '' }: LoginSource): Promise<void> {
    const at = clock.now()
    const by = serviceName(appId)
    const password = random.bytes(UNKNOWN_PASSWORD_BYTES).toString('base64url')
    try {
      await users.create({ userId, name: userId, password }, by, (trx) =>
        insertAuditEntries(trx, [
          {
            ...{ at, lastAt: at, times: 1, userId: by, appId, address, traceId },
            ...{ action: 'create user named by X-BKREPO-UID', project: null, repo: null, resource: `userId=${userId}` },
            ...{ outcome: 'SUCCESS', code: 0 },
          },
        ]),
      )
    } catch (error) {
      // Two requests at once.
      if (!hasCode(error, 'USER_EXISTED')) throw error
    }
  }

  return {
    async login(accessKey, secret, source) {
      const found = await findPlatformLogin(db.read, accessKey)
      const right = timingSafeEqual(tokenHash(secret), found?.secretHash ?? NO_HASH)
      if (found === undefined || !right) return undefined
      const { account, enabled } = found
      const { appId } = account
      if (!enabled) throw refused(`the access key of ${appId} is disabled`, { appId })
      if (account.locked) throw refused(`the account ${appId} is locked`, { appId })
      const { actsFor = '' } = source
      if (actsFor === '' || actsFor === ANONYMOUS.userId) return itself(account)
      const user = await userOf(actsFor, appId, source)
      const { userId, admin } = user
      if (user.locked) {
        throw new AppError('PERMISSION_DENIED', `Access denied: user ${userId} is locked`, { userId, appId })
      }
      return { userId, admin, appId, ...covering(coversOfApp(scopeOfAccount(account))) }
    },
  }
}

/** Who an account is that acts for no user. No user id has a colon. */
const serviceName = (appId: string): string => `app:${appId}`

/**
 * Nobody in particular, as the reference has it. Only an account whose scope says SYSTEM, and is not limited to projects, manages
 * users, roles and accounts in its own name: whoever made it asked for that.
 */
function itself(account: PlatformAccount): Principal {
  const { appId, scope, projectRules } = account
  if (scope.includes('SYSTEM') && projectRules.length === 0) {
    return { userId: serviceName(appId), admin: true, appId, covers: COVERS_SERVICE }
  }
  return { ...ANONYMOUS, appId, ...covering(coversOfApp(scopeOfAccount(account))) }
}

const covering = (covers: Principal['covers']) => (covers === undefined ? {} : { covers })
