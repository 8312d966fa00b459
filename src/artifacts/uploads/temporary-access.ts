import type { Action } from '../../auth/grants.ts'
import type { Holder, MayDo } from '../../auth/holder-rights.ts'
import { makeToken, tokenHash } from '../../auth/tokens.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, empty, invalid } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import { isWithin, type NodePath } from '../../core/paths.ts'
import * as rows from '../../metadata/access/temporary-tokens.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { checkAddresses, coversAddress } from './address-list.ts'

export type { TemporaryGrant, TemporaryUse } from '../../metadata/access/temporary-tokens.ts'

/** What a token shall allow (core.md 11.6). */
export interface TemporaryOrder {
  readonly paths: readonly NodePath[]
  readonly type: rows.TemporaryGrant['type']
  /** Undefined: anybody, from anywhere. */
  readonly users: readonly string[] | undefined
  readonly addresses: readonly string[] | undefined
  /** 0 or less: for ever. */
  readonly expireSeconds: number
  /** Undefined: any number of uses. */
  readonly permits: number | undefined
}
/** What somebody wants to do with one. */
export interface TemporaryRequest {
  readonly use: rows.TemporaryUse
  readonly path: NodePath
  /** Undefined: without a login. */
  readonly userId: string | undefined
  /** Of the connection. */
  readonly address: string
}

/**
 * Tokens that stand in for their creator at one path, for those who have no login. They are worth what their creator may do at
 * that moment, through the platform account that made them: with the right, or either account, goes the token.
 */
export interface TemporaryAccess {
  /** One per path, in their order; `token` is told here and never again. @throws AppError PARAMETER_INVALID, PARAMETER_EMPTY. */
  create(
    repository: Repository,
    order: TemporaryOrder,
    by: Holder,
  ): Promise<(rows.TemporaryGrant & { readonly token: string })[]>
  /** Takes no use. @throws AppError TEMPORARY_TOKEN_INVALID, TEMPORARY_TOKEN_EXPIRED. */
  check(token: string, repository: Repository, request: TemporaryRequest): Promise<rows.TemporaryGrant>
  /**
   * Takes one use, runs the work, and gives the use back when that throws. @throws AppError TEMPORARY_TOKEN_INVALID when none is
   * left.
   */
  use<T>(token: string, grant: rows.TemporaryGrant, work: () => Promise<T>): Promise<T>
  /** Drops tokens that are expired or used up since a day. */
  sweep(): Promise<void>
}

interface TemporaryAccessDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly random: Random
  readonly mayDo: MayDo
}

/** The right that stands behind each use, as the routes without a token ask for it. */
export const RIGHT_BEHIND = { DOWNLOAD: 'DOWNLOAD', UPLOAD: 'WRITE' } as const satisfies Record<
  rows.TemporaryUse,
  Action
>
export const usesOf = (type: rows.TemporaryGrant['type']): readonly rows.TemporaryUse[] =>
  type === 'ALL' ? ['DOWNLOAD', 'UPLOAD'] : [type]

const MAX_ENTRIES = 1_000
const MAX_PERMITS = 1_000_000_000
/** A hundred years: later dates have no place on the wire. */
const MAX_SECONDS = 100 * 365 * 86_400
/** So long a token says "expired" rather than "unknown". */
const KEPT_MS = 86_400_000

export function createTemporaryAccess({ db, clock, random, mayDo }: TemporaryAccessDeps): TemporaryAccess {
  return {
    async create(repository, order, by) {
      checkOrder(order)
      const { type, users, addresses, expireSeconds, permits = null } = order
      const createdAt = clock.now()
      const expiresAt = expireSeconds <= 0 ? null : createdAt + expireSeconds * 1000
      const made = order.paths.map((path) => {
        const token = makeToken(random)
        const owner = { ...by, createdAt }
        const grant = { repoId: repository.id, path, type, users, addresses, permits, expiresAt, ...owner }
        return { ...grant, token, hash: tokenHash(token) }
      })
      await db.transact((trx) => rows.insertTemporaryTokens(trx, made))
      return made
    },
    async check(token, repository, { use, path, userId, address }) {
      const grant = await rows.findTemporaryGrant(db.read, tokenHash(token))
      if (grant === undefined || grant.repoId !== repository.id) throw unknownToken()
      if (grant.expiresAt !== null && grant.expiresAt <= clock.now()) {
        throw new AppError('TEMPORARY_TOKEN_EXPIRED', 'Temporary token is expired', {})
      }
      if (!usesOf(grant.type).includes(use)) throw refused(`it is for ${grant.type}`)
      if (!isWithin(path, grant.path)) throw refused('it is for another path')
      if (grant.users !== undefined && (userId === undefined || !grant.users.includes(userId))) {
        throw refused('it is for other users: log in as one of them')
      }
      if (grant.addresses !== undefined && !coversAddress(grant.addresses, address)) {
        throw refused('it is for other addresses')
      }
      if (grant.permits === 0) throw usedUp()
      if (!(await mayDo(grant, RIGHT_BEHIND[use], repository, path, 'node'))) {
        throw refused('its creator has lost the right')
      }
      return grant
    },
    async use(token, grant, work) {
      if (grant.permits === null) return work()
      const hash = tokenHash(token)
      if (!(await db.transact((trx) => rows.takePermit(trx, hash)))) throw usedUp()
      try {
        return await work()
      } catch (error) {
        await db.transact((trx) => rows.returnPermit(trx, hash))
        throw error
      }
    },
    async sweep() {
      const before = clock.now() - KEPT_MS
      await db.transact((trx) => rows.deleteStaleTokens(trx, before, before))
    },
  }
}

function checkOrder({ paths, users, addresses, expireSeconds, permits }: TemporaryOrder): void {
  if (paths.length === 0) throw empty('fullPathSet')
  const lists = { fullPathSet: paths, authorizedUserSet: users, authorizedIpSet: addresses }
  for (const [name, list] of Object.entries(lists)) {
    if (list !== undefined && list.length > MAX_ENTRIES) throw invalid(name, `at most ${MAX_ENTRIES} entries`)
  }
  checkAddresses('authorizedIpSet', addresses ?? [])
  if (expireSeconds > MAX_SECONDS) throw invalid('expireSeconds', `at most ${MAX_SECONDS}; 0 never ends`)
  if (permits !== undefined && (permits < 1 || permits > MAX_PERMITS)) {
    throw invalid('permits', `it must be 1 to ${MAX_PERMITS}; left out, there is no limit`)
  }
}

const refused = (why: string): AppError =>
  new AppError('TEMPORARY_TOKEN_INVALID', `Temporary token is invalid: ${why}`, {})
/** Also the answer about places that are not there: whoever holds no token does not get to know. */
export const unknownToken = (): AppError => refused('it is not known here')
const usedUp = (): AppError => refused('all its uses are taken')
