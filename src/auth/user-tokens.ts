import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import * as rows from '../metadata/access/user-tokens.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { makeToken, tokenHash } from './tokens.ts'
import { checkTokenName } from './user-rules.ts'
import { userNotFound } from './users.ts'

export type { UserToken } from '../metadata/access/user-tokens.ts'

/** Tokens of users: they stand for the password of one user, also as `Bearer`, until they expire or are deleted. */
export interface UserTokens {
  /**
   * `token` is told here and never again. @param expiresAt UTC epoch milliseconds, null: never.
   * @throws AppError USER_NOT_FOUND, TOKEN_EXISTED, TOKEN_EXPIRY_INVALID for a time that has passed.
   */
  create(userId: string, name: string, expiresAt: number | null): Promise<rows.UserToken & { readonly token: string }>
  /** @throws AppError USER_NOT_FOUND. */
  list(userId: string): Promise<rows.UserToken[]>
  delete(userId: string, name: string): Promise<void>
  /** True: it is a live token of that user. */
  check(userId: string, token: string): Promise<boolean>
}

interface TokenDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly random: Random
}

/** Far above what anybody uses; keeps the list of a user a list. */
const MAX_TOKENS = 1000

export function createUserTokens({ db, clock, random }: TokenDeps): UserTokens {
  return {
    async create(userId, name, expiresAt) {
      checkTokenName(name)
      const createdAt = clock.now()
      if (expiresAt !== null && expiresAt <= createdAt) {
        throw new AppError('TOKEN_EXPIRY_INVALID', 'Token expiry is invalid: expiredAt has passed', { name })
      }
      const token = makeToken(random)
      const made = { name, createdAt, expiresAt }
      await db.transact(async (trx) => {
        if ((await findUser(trx, userId)) === undefined) throw userNotFound(userId)
        if ((await rows.listTokens(trx, userId)).length >= MAX_TOKENS) {
          throw invalid('name', `a user has at most ${MAX_TOKENS} tokens`)
        }
        if (!(await rows.insertToken(trx, userId, { ...made, hash: tokenHash(token) }))) {
          throw new AppError('TOKEN_EXISTED', `Token [${name}] existed`, { name })
        }
      })
      return { ...made, token }
    },
    async list(userId) {
      if ((await findUser(db.read, userId)) === undefined) throw userNotFound(userId)
      return rows.listTokens(db.read, userId)
    },
    delete: (userId, name) => db.transact((trx) => rows.deleteToken(trx, userId, name)),
    async check(userId, token) {
      const owner = await rows.findTokenOwner(db.read, tokenHash(token))
      return owner !== undefined && owner.userId === userId && (owner.expiresAt ?? Infinity) > clock.now()
    },
  }
}
