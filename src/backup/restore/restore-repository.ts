import { passwordPlace } from '../../artifacts/proxies/repository-passwords.ts'
import { MASK } from '../../artifacts/proxies/upstream-fields.ts'
import { planRepository } from '../../artifacts/repositories/repository-rules.ts'
import { checkMembers } from '../../artifacts/views/virtual-members.ts'
import { createBuiltInPermissions } from '../../auth/built-in-permissions.ts'
import { AppError } from '../../core/errors.ts'
import { canonicalJson } from '../../core/metadata.ts'
import { isReservedProjectName } from '../../core/names.ts'
import type { Transaction } from '../../metadata/database.ts'
import { findProject, insertProject, updateProject } from '../../metadata/repositories/projects.ts'
import {
  findRepository,
  insertRepository,
  lockRepository,
  type Repository,
  setRepositoryQuota,
  updateRepository,
} from '../../metadata/repositories/repositories.ts'
import { replaceProxySecrets } from '../../metadata/storage/proxy-secrets.ts'
import type { DecodedProject, DecodedRepository } from '../records/decoded.ts'
import type { RestoreContext } from './restore-deps.ts'
import { inProject, withPasswords } from './restored-configuration.ts'

/** What became of a record whose key may be here. */
export type Restored = 'written' | 'unchanged' | 'kept'

/** The row `project` of the table in backup.md 8. @throws AppError PARAMETER_INVALID for a name that no project may have. */
export async function restoreProject(
  { deps: { db }, run }: RestoreContext,
  { displayName, description, metadata, ...project }: DecodedProject,
  name: string,
): Promise<Restored> {
  if (isReservedProjectName(name)) {
    throw new AppError('PARAMETER_INVALID', `[${name}] has another meaning in URLs below /generic`, { name })
  }
  const isDry = run.task.setting.dryRun
  const there = await findProject(db.read, name)
  if (there === undefined) {
    if (isDry) return 'written'
    const made = { ...project, name, displayName, description, metadata }
    // Somebody else may have made it just now.
    return (await db.transact((trx) => insertProject(trx, made))) ? 'written' : 'kept'
  }
  if (run.onConflict === 'SKIP') return 'kept'
  const change = { displayName, description, metadata }
  const { modifiedBy, modifiedAt } = project
  const isSame =
    canonicalJson([displayName, description, metadata, modifiedBy, modifiedAt]) ===
    canonicalJson([there.displayName, there.description, there.metadata, there.modifiedBy, there.modifiedAt])
  if (isSame) return 'unchanged'
  if (!isDry) await db.transact((trx) => updateProject(trx, name, change, modifiedBy, modifiedAt))
  return 'written'
}

export interface RestoredRepository {
  /** Undefined in a rehearsal, where it is not here. */
  readonly repository: Repository | undefined
  readonly as: Restored
}

/**
 * The row `repository` of the table in backup.md 8. Its project is here.
 * @throws AppError NODE_CONFLICT when the one that is here is of another type or category; what its configuration would be refused for.
 */
export async function restoreRepository(
  { deps, run }: RestoreContext,
  record: DecodedRepository,
  target: string,
): Promise<RestoredRepository> {
  const { db, clock, ids, builtTypes, outgoing } = deps
  const { type, category, quota, name } = record
  const isDry = run.task.setting.dryRun
  const secrets = new Map([...record.secrets].filter(([slot, sealed]) => isReadable(slot, sealed)))
  const moved = inProject(record.configuration, record.project, target)
  const configuration = withPasswords(moved, (slot) => (secrets.has(slot) ? PLACEHOLDER : null))
  const plan = planRepository({ project: target, name, type, category, configuration, quota }, builtTypes, outgoing)
  const { kept, members } = plan.configuration
  const wanted = {
    ...{ public: record.public, description: record.description, displayName: record.displayName },
    ...{ display: record.display, owner: record.owner, visibility: record.visibility },
    configuration: kept,
  }

  function isReadable(slot: string, sealed: string): boolean {
    if (deps.secrets.unpack(sealed, passwordPlace(0, slot)) !== undefined) return true
    run.warn(`[${target}/${name}]: the password of ${slot} was sealed with a key that is not here: enter it again`)
    return false
  }
  async function saveSecrets(trx: Transaction, repoId: number): Promise<void> {
    const opened = plan.configuration.passwords.flatMap(({ slot }): [string, string][] => {
      const stored = deps.secrets.unpack(secrets.get(slot) ?? '', passwordPlace(repoId, slot))
      return stored === undefined ? [] : [[slot, stored]]
    })
    await replaceProxySecrets(trx, repoId, new Map(opened))
  }
  async function make(trx: Transaction): Promise<Repository | undefined> {
    const { createdBy, createdAt, modifiedBy, modifiedAt } = record
    const made = await insertRepository(trx, {
      ...{ ...wanted, project: target, name, type, category, quota: plan.quota, epoch: ids.key() },
      ...{ createdBy, createdAt, modifiedBy, modifiedAt },
    })
    if (made === undefined) return undefined
    // A backup may be older than a member that is gone: only what is here is judged.
    if (category === 'VIRTUAL') await checkMembers(trx, made, members, members)
    await saveSecrets(trx, made.id)
    await createBuiltInPermissions(trx, made, { clock, ids }, run.by)
    return made
  }
  async function change(trx: Transaction, there: Repository): Promise<Repository | undefined> {
    await lockRepository(trx, there.id)
    if (category === 'VIRTUAL') await checkMembers(trx, there, members, members)
    await saveSecrets(trx, there.id)
    await setRepositoryQuota(trx, there.id, plan.quota, record.modifiedBy, record.modifiedAt)
    return updateRepository(trx, there.id, wanted, record.modifiedBy, record.modifiedAt)
  }

  let there = await findRepository(db.read, target, name)
  if (there === undefined) {
    if (isDry) return { repository: undefined, as: 'written' }
    const made = await db.transact(make)
    if (made !== undefined) return { repository: made, as: 'written' }
    there = (await findRepository(db.read, target, name))!
  }
  const here = there
  if (here.type !== type || here.category !== category) {
    const why = `the repository here is ${here.category} of type ${here.type}, the backup has ${category} of type ${type}`
    throw new AppError('NODE_CONFLICT', `${why}: neither is ever changed`, {})
  }
  if (run.onConflict === 'SKIP') return { repository: here, as: 'kept' }
  if (isSame(record, { ...wanted, quota: plan.quota }, here) && secrets.size === 0) {
    return { repository: here, as: 'unchanged' }
  }
  if (isDry) return { repository: here, as: 'written' }
  return { repository: (await db.transact((trx) => change(trx, here))) ?? here, as: 'written' }
}

/** In place of a password while a configuration is judged; the sealed one is kept in the end. */
const PLACEHOLDER = `${MASK}-`

function isSame({ modifiedBy, modifiedAt }: DecodedRepository, wanted: Partial<Repository>, here: Repository): boolean {
  const fields = Object.keys(wanted) as (keyof Repository)[]
  const same = fields.every((field) => canonicalJson(wanted[field] ?? null) === canonicalJson(here[field] ?? null))
  return same && here.modifiedBy === modifiedBy && here.modifiedAt === modifiedAt
}
