import { checkAddresses } from '../../artifacts/uploads/address-list.ts'
import { isUserId } from '../../auth/user-rules.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import { knownAccounts } from '../../metadata/backup/account-rows.ts'
import {
  addTemporaryTokens,
  knownTemporaryTokens,
  pageTemporaryTokens,
  type StoredGrant,
} from '../../metadata/backup/right-rows.ts'
import { knownUsers } from '../../metadata/backup/user-rows.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import {
  choiceIn,
  hashIn,
  isoTime,
  isoTimeOrNull,
  optionalText,
  optionalTimeIn,
  projectIn,
  repositoryIn,
  textsIn,
  timeIn,
} from './common-fields.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'
import { findPlaces } from './right-places.ts'

/** A line of `temporary_token.json`. */
export interface TemporaryTokenDocument {
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string
  readonly projectId: string
  readonly repoName: string
  readonly fullPath: string
  readonly type: StoredGrant['type']
  /** Null: anybody, from anywhere. */
  readonly authorizedUserList: readonly string[] | null
  readonly authorizedIpList: readonly string[] | null
  /** Uses left; null: unlimited. */
  readonly permits: number | null
  /** Null: never. */
  readonly expireDate: string | null
  /** The platform account that made it for its creator. */
  readonly appId: string | null
  readonly createdBy: string
  readonly createdDate: string
}
type TokenRecord = Omit<StoredGrant, 'repoId'>

const file = COMMON_FILES.temporaryToken
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
/** Enough to find a record by, and no key to anything. */
const keyOf = ({ hash, project, repoName, path }: TokenRecord) =>
  `${project}/${repoName}${path} ${hex(hash).slice(0, 12)}`

/** Those that are there are never replaced, and what has expired or is used up is left out, on both ways. */
export function createTemporaryTokensFile({
  db,
  clock,
  parseTime,
}: Pick<CommonFilesDeps, 'db' | 'clock' | 'parseTime'>): CommonFile {
  function recordIn(fields: RequestFields): TokenRecord {
    const path = normalisePath(fields.requiredText('fullPath'))
    const addresses = listIn(fields, 'authorizedIpList')
    checkAddresses('authorizedIpList', addresses ?? [])
    const permits = fields.integer('permits') ?? null
    if (permits !== null && permits < 0) throw invalid('permits', 'it must not be negative')
    return {
      ...{ hash: hashIn(fields, 'tokenHash'), path, addresses, permits },
      ...{ project: projectIn(fields), repoName: repositoryIn(fields) },
      type: choiceIn(fields, 'type', ['UPLOAD', 'DOWNLOAD', 'ALL']),
      users: listIn(fields, 'authorizedUserList', isUserId),
      expiresAt: optionalTimeIn(fields, 'expireDate', parseTime),
      appId: optionalText(fields, 'appId'),
      createdBy: fields.requiredText('createdBy'),
      createdAt: timeIn(fields, 'createdDate', parseTime),
    }
  }

  const apply = (records: readonly TokenRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      const tally = createTally()
      const places = await findPlaces(
        trx,
        records.map(({ project, repoName }) => ({ project, repos: [repoName] })),
      )
      const there = await knownTemporaryTokens(
        trx,
        records.map(({ hash }) => hash),
      )
      const users = await knownUsers(trx, [...new Set(records.map(({ createdBy }) => createdBy))])
      const apps = await knownAccounts(trx, [...new Set(records.flatMap(({ appId }) => appId ?? []))])
      const made: (TokenRecord & { readonly repoId: number })[] = []
      for (const record of records) {
        const isOver = (record.expiresAt !== null && record.expiresAt <= clock.now()) || record.permits === 0
        if (isOver || there.has(hex(record.hash))) {
          tally.skipped()
          continue
        }
        try {
          const repoId = places.repoId(record.project, record.repoName)
          // Somebody who is made under that name later must not find a token that is theirs.
          if (!users.has(record.createdBy)) throw gone('createdBy', record.createdBy)
          if (record.appId !== null && !apps.has(record.appId)) throw gone('appId', record.appId)
          made.push({ ...record, repoId })
          tally.restored()
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          tally.fail(keyOf(record), error)
        }
      }
      await addTemporaryTokens(trx, made)
      return tally.outcome()
    })

  return {
    path: file,
    async *read(reader, signal) {
      const now = clock.now()
      const page = (from: typeof reader, after: Uint8Array, limit: number) =>
        pageTemporaryTokens(from, now, after, limit)
      const source = { reader, first: new Uint8Array(), keyOf: ({ hash }: StoredGrant) => hash }
      for await (const grants of byKey(page, source, signal)) yield* grants.map(documentOf)
    },
    restoring: (run) => ({
      afterRepositories: inBatches(run, { file, nameField: 'fullPath', read: recordIn, keyOf, apply }),
    }),
  }
}

const gone = (field: string, name: string) => invalid(field, `[${name}] is not there: the token would be nobody's`)

const listIn = (fields: RequestFields, name: string, accept?: (text: string) => boolean) =>
  fields.raw(name) === undefined ? undefined : textsIn(fields, name, accept)

function documentOf(grant: StoredGrant): TemporaryTokenDocument {
  const { hash, project, repoName, path, type, users, addresses, permits, appId, createdBy } = grant
  return {
    ...{ tokenHash: hex(hash), projectId: project, repoName, fullPath: path, type },
    ...{ authorizedUserList: users ?? null, authorizedIpList: addresses ?? null, permits },
    ...{ expireDate: isoTimeOrNull(grant.expiresAt), appId, createdBy, createdDate: isoTime(grant.createdAt) },
  }
}
