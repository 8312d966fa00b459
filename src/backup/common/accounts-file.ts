import { AppError, invalid, missing } from '../../core/errors.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { PlatformAccount, ProjectRule } from '../../metadata/access/platform-accounts.ts'
import {
  addCredentials,
  findCredentials,
  insertAccounts,
  lockAccounts,
  pageAccounts,
  type StoredCredential,
  updateAccounts,
} from '../../metadata/backup/account-rows.ts'
import type { Authored } from '../records/documents.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import { authored, authorshipIn, choiceIn, hashIn, isoTime, optionalText, textsIn, timeIn } from './common-fields.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'

/** A line of `account.json`. */
export interface AccountDocument extends Authored {
  readonly appId: string
  readonly locked: boolean
  readonly description: string | null
  /** Empty: of all types. */
  readonly scope: readonly string[]
  /** Empty: all projects. */
  readonly scopeDesc: readonly {
    readonly field: 'PROJECT'
    readonly operation: string
    readonly value: readonly string[]
  }[]
  readonly credentials: readonly {
    readonly accessKey: string
    /** SHA-256 of the secret key, hex. */
    readonly secretHash: string
    readonly status: 'ENABLE' | 'DISABLE'
    readonly createdAt: string
  }[]
}
type AccountRecord = PlatformAccount & { readonly credentials: readonly StoredCredential[] }

const file = COMMON_FILES.account
/** As `auth/platform-accounts.ts` takes them. */
const APP_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
const ACCESS_KEY = /^[0-9a-f]{32}$/
const SCOPES: ReadonlySet<string> = new Set(['SYSTEM', 'PROJECT', 'REPO', 'NODE', 'REPLICATION'])
const MAX_DESCRIPTION_LENGTH = 1_024
const MAX_CREDENTIALS = 20
const MAX_RULES = 100
const MAX_PROJECTS = 1_000

export function createAccountsFile({ db, parseTime }: Pick<CommonFilesDeps, 'db' | 'parseTime'>): CommonFile {
  function recordIn(fields: RequestFields): AccountRecord {
    const appId = fields.requiredText('appId')
    if (!APP_ID.test(appId)) throw invalid('appId', '1 to 64 letters, digits and . _ -')
    return {
      ...{ appId, locked: fields.flag('locked') ?? false },
      description: optionalText(fields, 'description', MAX_DESCRIPTION_LENGTH),
      scope: textsIn(fields, 'scope', (type) => SCOPES.has(type)),
      projectRules: few(fields, 'scopeDesc', MAX_RULES).map(ruleIn),
      credentials: few(fields, 'credentials', MAX_CREDENTIALS).map((credential) => credentialIn(credential, appId)),
      ...authorshipIn(fields, parseTime),
    }
  }
  function credentialIn(fields: RequestFields, appId: string): StoredCredential {
    const accessKey = fields.requiredText('accessKey')
    if (!ACCESS_KEY.test(accessKey)) throw invalid('accessKey', 'it is none of this server')
    const enabled = choiceIn(fields, 'status', ['ENABLE', 'DISABLE']) === 'ENABLE'
    const createdAt = timeIn(fields, 'createdAt', parseTime)
    return { appId, accessKey, enabled, createdAt, secretHash: hashIn(fields, 'secretHash') }
  }

  const apply = (run: RestoreRun, records: readonly AccountRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      const appIds = records.map(({ appId }) => appId)
      const known = await lockAccounts(trx, appIds)
      const accessKeys = records.flatMap(({ credentials }) => credentials.map(({ accessKey }) => accessKey))
      const keys = await findCredentials(trx, { appIds, accessKeys })
      const tally = createTally()
      const made: PlatformAccount[] = []
      const changed: PlatformAccount[] = []
      const added: StoredCredential[] = []
      const owners = new Map(keys.map(({ accessKey, appId }) => [accessKey, appId]))
      for (const { credentials, ...record } of records) {
        const stored = known.get(record.appId)
        if (stored !== undefined && run.onConflict === 'SKIP') {
          tally.skipped()
          continue
        }
        try {
          const more = credentials.filter(({ accessKey, appId }) => owners.get(accessKey) !== appId)
          const foreign = more.find(({ accessKey }) => owners.has(accessKey))
          if (foreign !== undefined) throw invalid('accessKey', `[${foreign.accessKey}] is of another account`)
          const have = keys.filter(({ appId }) => appId === record.appId).length
          if (have + more.length > MAX_CREDENTIALS) throw invalid('credentials', `at most ${MAX_CREDENTIALS} together`)
          for (const { accessKey, appId } of more) owners.set(accessKey, appId)
          if (stored === undefined) made.push(record)
          else {
            const now = merged(record, stored, run)
            if (JSON.stringify(now) !== JSON.stringify(stored)) changed.push(now)
          }
          added.push(...more)
          tally.restored()
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          tally.fail(record.appId, error)
        }
      }
      await insertAccounts(trx, made)
      await updateAccounts(trx, changed)
      await addCredentials(trx, added)
      return tally.outcome()
    })

  return {
    path: file,
    async *read(reader, signal) {
      const source = { reader, first: '', keyOf: ({ appId }: PlatformAccount) => appId }
      for await (const accounts of byKey(pageAccounts, source, signal)) {
        const appIds = accounts.map(({ appId }) => appId)
        const keys = Map.groupBy(await findCredentials(reader, { appIds, accessKeys: [] }), ({ appId }) => appId)
        yield* accounts.map((account) => documentOf(account, keys.get(account.appId) ?? []))
      }
    },
    restoring: (run) => ({
      beforeRepositories: inBatches(run, {
        file,
        nameField: 'appId',
        read: recordIn,
        keyOf: ({ appId }) => appId,
        apply: (records) => apply(run, records),
      }),
    }),
  }
}

function documentOf(account: PlatformAccount, credentials: readonly StoredCredential[]): AccountDocument {
  const { appId, locked, description, scope, projectRules } = account
  return {
    ...{ appId, locked, description, scope },
    scopeDesc: projectRules.map(({ operation, values }) => ({ field: 'PROJECT', operation, value: values })),
    credentials: credentials.map(({ accessKey, secretHash, enabled, createdAt }) => ({
      ...{ accessKey, secretHash: Buffer.from(secretHash).toString('hex') },
      ...{ status: enabled ? 'ENABLE' : 'DISABLE', createdAt: isoTime(createdAt) },
    })),
    ...authored(account),
  }
}

function few(fields: RequestFields, name: string, most: number): RequestFields[] {
  const list = fields.list(name) ?? []
  if (list.length > most) throw invalid(name, `at most ${most}`)
  return list.map((item) => fieldsOf(item, name))
}
function ruleIn(fields: RequestFields): ProjectRule {
  const operation = choiceIn(fields, 'operation', ['IN', 'PREFIX'])
  const values = textsIn(fields, 'value')
  if (values.length === 0) throw missing('scopeDesc.value')
  if (values.length > MAX_PROJECTS) throw invalid('scopeDesc.value', `at most ${MAX_PROJECTS} projects`)
  return { operation, values }
}

/** Whether it is locked is as good as a credential: a lock stays unless credentials are asked for. No limit on either side stays none. */
function merged(record: PlatformAccount, stored: PlatformAccount, { task }: RestoreRun): PlatformAccount {
  const { description, modifiedBy, modifiedAt } = record
  const locked = task.setting.restoreCredentials ? record.locked : stored.locked
  const scope = union(stored.scope, record.scope, (type) => type)
  const projectRules = union(stored.projectRules, record.projectRules, (rule) => JSON.stringify(rule))
  return { ...stored, locked, description, scope, projectRules, modifiedBy, modifiedAt }
}
/** An empty list allows all. */
function union<T>(a: readonly T[], b: readonly T[], keyOf: (one: T) => string): readonly T[] {
  if (a.length === 0 || b.length === 0) return []
  const known = new Set(a.map(keyOf))
  return [...a, ...b.filter((one) => !known.has(keyOf(one)))]
}
