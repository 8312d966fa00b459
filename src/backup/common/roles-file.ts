import { AppError, invalid } from '../../core/errors.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import { raiseAccessStamp } from '../../metadata/access/access-facts.ts'
import { pageRoles, type Role } from '../../metadata/access/roles.ts'
import { insertRoles, repositoryNamesById, updateRoles } from '../../metadata/backup/right-rows.ts'
import type { RoleName } from '../../metadata/backup/user-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import type { Authored } from '../records/documents.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import { type Authorship, authored, authorshipIn, choiceIn, optionalText, shortText } from './common-fields.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'
import { findPlaces, findRoles, roleKey, roleNameIn } from './right-places.ts'

/** A line of `role.json`. Who has it says `user.json`. */
export interface RoleDocument extends RoleName, Authored {
  readonly type: Role['type']
  readonly name: string
  readonly admin: boolean
  readonly description: string | null
}
type RoleRecord = RoleName & Pick<Role, 'type' | 'name' | 'admin' | 'description'> & Authorship

const ROLE_ID = /^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$/
const MAX_TEXT_LENGTH = 256
const file = COMMON_FILES.role

export function createRolesFile({ db, ids, parseTime }: Pick<CommonFilesDeps, 'db' | 'ids' | 'parseTime'>): CommonFile {
  function recordIn(fields: RequestFields): RoleRecord {
    const named = roleNameIn(fields)
    if (!ROLE_ID.test(named.roleId)) throw invalid('roleId', '1 to 64 letters, digits and . _ @ -')
    const type = choiceIn(fields, 'type', ['PROJECT', 'REPO'])
    if ((type === 'REPO') !== (named.repoName !== null)) throw invalid('repoName', `it does not fit type ${type}`)
    return {
      ...{ ...named, type, admin: fields.flag('admin') ?? false },
      name: shortText(fields, 'name', MAX_TEXT_LENGTH),
      description: optionalText(fields, 'description', MAX_TEXT_LENGTH),
      ...authorshipIn(fields, parseTime),
    }
  }

  const apply = (run: RestoreRun, records: readonly RoleRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      const tally = createTally()
      const named = records.map(({ projectId, repoName }) => ({
        project: projectId,
        repos: repoName === null ? [] : [repoName],
      }))
      const places = await findPlaces(trx, named)
      const known = await findRoles(trx, records)
      const made: Role[] = []
      const changed: Role[] = []
      for (const { projectId: project, ...record } of records) {
        const key = roleKey({ ...record, projectId: project })
        const stored = known.get(key)
        try {
          const repoId = places.repoId(project, record.repoName)
          if (stored === undefined) made.push({ ...record, project, repoId, id: ids.id() })
          else if (run.onConflict === 'OVERWRITE') {
            const { name, admin, description, modifiedBy, modifiedAt } = record
            const now = { ...stored, name, admin, description, modifiedBy, modifiedAt }
            if (!isSame(now, stored)) changed.push(now)
          }
          if (stored !== undefined && run.onConflict === 'SKIP') tally.skipped()
          else tally.restored()
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          tally.fail(key, error)
        }
      }
      await insertRoles(trx, made)
      await updateRoles(trx, changed)
      return tally.outcome()
    })

  return {
    path: file,
    async *read(reader, signal) {
      const source = { reader, first: '', keyOf: ({ id }: Role) => id }
      for await (const roles of byKey(pageRoles, source, signal)) {
        const names = await liveRepositories(reader, roles)
        for (const role of roles) if (role.repoId === 0 || names.has(role.repoId)) yield documentOf(role)
      }
    },
    restoring: (run) => ({
      afterRepositories: inBatches<RoleRecord>(run, {
        file,
        nameField: 'roleId',
        read: recordIn,
        keyOf: roleKey,
        apply: (records) => apply(run, records),
      }),
    }),
  }
}

const liveRepositories = (reader: Reader, roles: readonly Role[]) =>
  repositoryNamesById(reader, [...new Set(roles.map(({ repoId }) => repoId))])

function documentOf(role: Role): RoleDocument {
  const { roleId, type, project, repoName, name, admin, description } = role
  return { ...{ roleId, type, projectId: project, repoName, name, admin, description }, ...authored(role) }
}

const isSame = (a: Role, b: Role): boolean => (Object.keys(a) as (keyof Role)[]).every((field) => a[field] === b[field])
