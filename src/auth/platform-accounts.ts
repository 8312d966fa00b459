import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { AppError, empty, invalid } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { ResourceType } from '../metadata/access/granted-rights.ts'
import * as rows from '../metadata/access/platform-accounts.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { tokenHash } from './tokens.ts'

export type { PlatformAccount, PlatformCredential, ProjectRule } from '../metadata/access/platform-accounts.ts'

export interface NewPlatformAccount {
  readonly appId: string
  readonly locked?: boolean | undefined
  readonly description?: string | undefined
  readonly scope?: readonly ResourceType[] | undefined
  readonly projectRules?: readonly rows.ProjectRule[] | undefined
}
export type PlatformAccountChange = Omit<NewPlatformAccount, 'appId'>

/** `secretKey` is told once, when it is made. */
export type NewCredential = rows.PlatformCredential & { readonly secretKey: string }

/** Applications that act for users with a pair of keys (core.md 3). Every change counts from the next request on, on every node. */
export interface PlatformAccounts {
  /** With a first pair of keys. @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID naming the field, ACCOUNT_EXISTED. */
  create(account: NewPlatformAccount, by: string): Promise<NewCredential>
  /** @throws AppError ACCOUNT_NOT_FOUND, as all below; PARAMETER_INVALID. */
  update(appId: string, change: PlatformAccountChange, by: string): Promise<void>
  /** With its keys. */
  delete(appId: string): Promise<void>
  get(appId: string): Promise<rows.PlatformAccount>
  list(): Promise<rows.PlatformAccount[]>
  listCredentials(appId: string): Promise<rows.PlatformCredential[]>
  /** @throws AppError PARAMETER_INVALID when there are too many. */
  createCredential(appId: string): Promise<NewCredential>
  /** A missing key is fine. */
  deleteCredential(appId: string, accessKey: string): Promise<void>
  /** @throws AppError RESOURCE_NOT_FOUND. */
  setStatus(appId: string, accessKey: string, status: 'ENABLE' | 'DISABLE'): Promise<void>
  /** Id of the account that the pair is of. @throws AppError ACCESS_KEY_WRONG, also for what is locked or disabled. */
  check(accessKey: string, secretKey: string): Promise<string>
}

interface PlatformAccountDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly random: Random
}

/** No colon, which ends names in `app:<id>` and in credentials. */
const APP_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
const MAX_DESCRIPTION_LENGTH = 1024
/** Enough to replace one pair after the other. */
const MAX_CREDENTIALS = 20
/** Each is looked at for each request. */
const MAX_RULES = 100
const MAX_PROJECTS = 1000
const ACCESS_KEY_BYTES = 16
const SECRET_KEY_BYTES = 32
export const isAccessKey = (text: string): boolean => /^[0-9a-f]{32}$/.test(text)
const NO_HASH = Buffer.alloc(32)

export function createPlatformAccounts({ db, clock, random }: PlatformAccountDeps): PlatformAccounts {
  const makeCredential = (): NewCredential => ({
    accessKey: random.bytes(ACCESS_KEY_BYTES).toString('hex'),
    secretKey: random.bytes(SECRET_KEY_BYTES).toString('base64url'),
    enabled: true,
    createdAt: clock.now(),
  })
  const stored = ({ secretKey, ...credential }: NewCredential) => ({ ...credential, secretHash: tokenHash(secretKey) })

  const accounts: PlatformAccounts = {
    async create({ appId, locked = false, description, scope = [], projectRules = [] }, by) {
      if (appId === '') throw empty('appId')
      if (!APP_ID.test(appId)) throw invalid('appId', '1 to 64 letters, digits and . _ -')
      checkChange({ description, projectRules })
      const now = clock.now()
      const stamps = { createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now }
      const credential = makeCredential()
      const account = { appId, locked, description: description ?? null, scope, projectRules, ...stamps }
      await db.transact(async (trx) => {
        if (!(await rows.insertPlatformAccount(trx, account))) {
          throw new AppError('ACCOUNT_EXISTED', `Account [${appId}] existed`, { appId })
        }
        await rows.insertPlatformCredential(trx, appId, stored(credential))
      })
      return credential
    },
    async update(appId, change, by) {
      checkChange(change)
      const by_ = { userId: by, at: clock.now() }
      if (!(await db.transact((trx) => rows.updatePlatformAccount(trx, appId, change, by_)))) throw notFound(appId)
    },
    async delete(appId) {
      if (!(await db.transact((trx) => rows.deletePlatformAccount(trx, appId)))) throw notFound(appId)
    },
    async get(appId) {
      const account = await rows.findPlatformAccount(db.read, appId)
      if (account === undefined) throw notFound(appId)
      return account
    },
    list: () => rows.listPlatformAccounts(db.read),
    async listCredentials(appId) {
      await accounts.get(appId)
      return rows.listPlatformCredentials(db.read, appId)
    },
    async createCredential(appId) {
      const credential = makeCredential()
      await db.transact(async (trx) => {
        if (!(await rows.holdPlatformAccount(trx, appId))) throw notFound(appId)
        if ((await rows.listPlatformCredentials(trx, appId)).length >= MAX_CREDENTIALS) {
          throw invalid('appId', `an account has at most ${MAX_CREDENTIALS} access keys`)
        }
        await rows.insertPlatformCredential(trx, appId, stored(credential))
      })
      return credential
    },
    async deleteCredential(appId, accessKey) {
      await accounts.get(appId)
      await db.transact((trx) => rows.deletePlatformCredential(trx, appId, accessKey))
    },
    async setStatus(appId, accessKey, status) {
      await accounts.get(appId)
      const enabled = status === 'ENABLE'
      if (!(await db.transact((trx) => rows.updatePlatformCredential(trx, appId, accessKey, { enabled })))) {
        throw new AppError('RESOURCE_NOT_FOUND', `Access key [${accessKey}] not found`, { accessKey })
      }
    },
    async check(accessKey, secretKey) {
      const found = await rows.findPlatformLogin(db.read, accessKey)
      const right = timingSafeEqual(tokenHash(secretKey), found?.secretHash ?? NO_HASH)
      if (found === undefined || !right || !found.enabled || found.account.locked) {
        throw new AppError('ACCESS_KEY_WRONG', 'Check access key and secret key failed')
      }
      return found.account.appId
    },
  }
  return accounts
}

function checkChange({ description, projectRules = [] }: PlatformAccountChange): void {
  if (description !== undefined && description.length > MAX_DESCRIPTION_LENGTH) {
    throw invalid('description', `at most ${MAX_DESCRIPTION_LENGTH} characters`)
  }
  if (projectRules.length > MAX_RULES) throw invalid('scopeDesc', `at most ${MAX_RULES} rules`)
  for (const { values } of projectRules) {
    if (values.length === 0 || values.includes('')) throw empty('scopeDesc.value')
    if (values.length > MAX_PROJECTS) throw invalid('scopeDesc.value', `at most ${MAX_PROJECTS} projects`)
  }
}

const notFound = (appId: string): AppError =>
  new AppError('ACCOUNT_NOT_FOUND', `Account [${appId}] not found`, { appId })
