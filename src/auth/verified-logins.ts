import type { Clock } from '../core/clock.ts'
import { findUser, type UserAccount } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { untilCommit } from '../metadata/sql/until-commit.ts'
import { ANONYMOUS, type Principal } from './principal.ts'

/** A login that was verified. Void when the user's row has another stamp or password by now. */
export interface VerifiedLogin {
  readonly userId: string
  /** Undefined for `anonymous`, who has no row. */
  readonly credentialStamp: number | undefined
  /** Undefined: the credentials do not depend on it. */
  readonly passwordHash?: string | undefined
  /** UTC epoch milliseconds. */
  readonly until: number
  readonly covers?: Principal['covers']
}

/** A remembered login that still holds, and the account it is for; undefined for `anonymous`. */
export interface RecalledLogin {
  readonly login: VerifiedLogin
  readonly account: UserAccount | undefined
}

/** Logins that need not be verified again: `docs/decisions/0007-authentication.md`. */
export interface VerifiedLogins {
  /** Reads the user's row: what changed it counts at once, whichever node did. */
  recall(key: string): Promise<RecalledLogin | undefined>
  remember(key: string, login: VerifiedLogin): void
}

const MAX_REMEMBERED = 10_000

export function createVerifiedLogins(db: Pick<MetadataDatabase, 'read' | 'commits'>, clock: Clock): VerifiedLogins {
  const accountNow = untilCommit(db, (userId) => findUser(db.read, userId!))
  const remembered = new Map<string, VerifiedLogin>()
  return {
    async recall(key) {
      const login = remembered.get(key)
      if (login === undefined) return undefined
      if (login.until > clock.now()) {
        if (login.userId === ANONYMOUS.userId) return { login, account: undefined }
        const account = await accountNow(login.userId)
        if (account !== undefined && holds(login, account)) return { login, account }
      }
      remembered.delete(key)
      return undefined
    },
    remember(key, login) {
      remembered.delete(key)
      remembered.set(key, login)
      if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!)
    },
  }
}

function holds({ credentialStamp, passwordHash }: VerifiedLogin, account: UserAccount): boolean {
  if (account.credentialStamp !== credentialStamp) return false
  return passwordHash === undefined || account.passwordHash === passwordHash
}
