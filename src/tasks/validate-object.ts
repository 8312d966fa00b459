import { AppError, empty, invalid, missing, notBuilt } from '../core/errors.ts'
import { isProjectName, isRepositoryName } from '../core/names.ts'
import { packageKeysFor } from '../core/package-key.ts'
import { type NodePath, normalisePath } from '../core/paths.ts'
import { holdsPackages, REPOSITORY_TYPES, type RepositoryType } from '../core/repository-type.ts'
import { fieldsOf, type RequestFields, storableText, unreadable } from '../core/request-fields.ts'
import { createExpressionJudge, type ExpressionJudge } from './constraints/expressions.ts'
import type { ObjectType, PackageConstraint, PathConstraint, TaskObject } from './task.ts'

/** A local repository, as the database has it. */
export interface KnownRepository {
  readonly name: string
  readonly type: string
  readonly category?: string
}
export interface ObjectFacts {
  /** Repositories of the local project, at least those that the request names. */
  readonly repositories: readonly KnownRepository[]
  /** Repository types that this release can hold. */
  readonly builtTypes: readonly string[]
}

/** Notes an option that is valid but not built; the request is refused with it when all else was right. */
export type Unbuilt = (refusal: AppError) => void

/** Of one task: ours, so that one request stays one query. */
export const MAX_OBJECTS = 1_000
/** Of one task, of all kinds together. */
const MAX_CONSTRAINTS = 10_000

/**
 * `replicaTaskObjects` (replication.md 1.1, object rules of 1.2, 2.1). A single object may stand for an array of one. Pure.
 * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID, REPOSITORY_NOT_FOUND,
 * PATH_INVALID.
 */
export function checkObjects(
  given: unknown,
  objectType: ObjectType,
  project: string,
  facts: ObjectFacts,
  unbuilt: Unbuilt,
): TaskObject[] {
  if (given === undefined) throw missing('replicaTaskObjects')
  const items = Array.isArray(given) ? given : [given]
  if (items.length === 0) throw empty('replicaTaskObjects')
  if (items.length > MAX_OBJECTS) throw invalid('replicaTaskObjects', `more than ${MAX_OBJECTS}`)
  if (objectType !== 'REPOSITORY' && items.length !== 1) {
    throw unreadable('replicaTaskObjects', `must hold exactly one object for ${objectType}`)
  }
  const expressions = createExpressionJudge()
  const check = (item: unknown) =>
    checkObject(fieldsOf(item, 'replicaTaskObjects'), objectType, project, facts, { unbuilt, expressions })
  checkCount(items)
  return items.map(check)
}

/** Before they are judged one by one. */
function checkCount(objects: readonly unknown[]): void {
  let count = 0
  for (const object of objects) {
    const fields = fieldsOf(object, 'replicaTaskObjects')
    for (const name of ['packageConstraints', 'pathConstraints']) {
      count += fields.list(name)?.length ?? 0
      if (count > MAX_CONSTRAINTS) {
        throw invalid(name, `more than ${MAX_CONSTRAINTS} constraints in one task; name folders, or use a pattern`)
      }
    }
  }
}

interface Notes {
  readonly unbuilt: Unbuilt
  /** Of the whole task. */
  readonly expressions: ExpressionJudge
}

function checkObject(
  fields: RequestFields,
  objectType: ObjectType,
  project: string,
  { repositories, builtTypes }: ObjectFacts,
  { unbuilt, expressions }: Notes,
): TaskObject {
  const needed = (type: ObjectType) => (type === objectType ? 'required' : 'optional')
  const localRepo = fields.requiredText('localRepoName')
  const repository = repositories.find(({ name }) => name === localRepo)
  if (repository === undefined) {
    throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${localRepo}] not found`, {
      project,
      repo: localRepo,
    })
  }
  if (repository.category === 'VIRTUAL') {
    const why = 'is VIRTUAL and has no files of its own: replicate its members'
    throw invalid('localRepoName', `repository [${localRepo}] ${why}`)
  }
  const remoteProject = nameOrDefault(fields, 'remoteProjectId', project, isProjectName)
  const remoteRepo = nameOrDefault(fields, 'remoteRepoName', localRepo, isRepositoryName)
  const repoType = fields.choice('repoType', REPOSITORY_TYPES) ?? repository.type
  if (repoType !== repository.type) throw invalid('repoType', `[${localRepo}] is a ${repository.type} repository`)
  if (!builtTypes.includes(repoType)) unbuilt(notBuilt(`repoType ${repoType}`, 'is not built yet'))
  if ((fields.list('sourceFilter') ?? []).length > 0) unbuilt(notBuilt('sourceFilter', 'is for federations'))
  return {
    localRepo,
    remoteProject,
    remoteRepo,
    repoType,
    packageConstraints: constraints(
      fields,
      'packageConstraints',
      needed('PACKAGE'),
      checkPackage(repoType as RepositoryType, unbuilt, expressions),
    ),
    pathConstraints: constraints(fields, 'pathConstraints', needed('PATH'), checkPath(expressions)),
  }
}

/** As this server accepts names (core.md 5 and 6): a target would refuse any other, so we do at once. */
function nameOrDefault(
  fields: RequestFields,
  name: string,
  standard: string,
  isName: (text: string) => boolean,
): string {
  const given = fields.text(name)
  if (given === undefined || given.trim() === '') return standard
  if (!isName(given)) throw invalid(name, `[${given.slice(0, 80)}] is not a name that a cluster accepts`)
  return given
}

function constraints<T>(
  fields: RequestFields,
  name: string,
  presence: 'required' | 'optional',
  check: (fields: RequestFields) => T,
): T[] | null {
  const given = fields.list(name)
  if (presence === 'required' && given === undefined) throw missing(name)
  if (presence === 'required' && given?.length === 0) throw empty(name)
  const field = name === 'pathConstraints' ? 'path' : 'packageKey'
  return given?.map((item) => check(fieldsOf(typeof item === 'string' ? { [field]: item } : item, name))) ?? null
}

function checkPath(expressions: ExpressionJudge): (fields: RequestFields) => PathConstraint {
  return (fields) => {
    const pathRegex = expressionOf(fields, 'pathRegex', expressions)
    return { path: pathOf(fields, pathRegex), ...(pathRegex !== undefined && { pathRegex }), ...dateOf(fields) }
  }
}

/** Illegal characters of a path have a refusal of their own (replication.md 5.2). */
function pathOf(fields: RequestFields, pathRegex: string | undefined): NodePath | null {
  const path = fields.raw('path')
  // Without a path an expression is looked for everywhere.
  if (path === undefined && pathRegex !== undefined) return null
  const isText = typeof path === 'string' && path.trim() !== ''
  return normalisePath(isText ? path : fields.requiredText('path'))
}

function expressionOf(fields: RequestFields, name: string, expressions: ExpressionJudge): string | undefined {
  const expression = fields.text(name)
  if (expression === undefined || expression === '') return undefined
  expressions.check(name, expression)
  return expression
}

/** Without effect; shown as it came. */
function dateOf(fields: RequestFields): { readonly deletedDate?: string | number } {
  const isNumber = typeof fields.raw('deletedDate') === 'number'
  const deletedDate = isNumber ? fields.integer('deletedDate') : fields.text('deletedDate')
  return deletedDate === undefined ? {} : { deletedDate }
}

function checkPackage(
  type: RepositoryType,
  unbuilt: Unbuilt,
  expressions: ExpressionJudge,
): (fields: RequestFields) => PackageConstraint {
  return (fields) => {
    refuseLater(fields, ['targetVersions'], unbuilt)
    const packageRegex = expressionOf(fields, 'packageRegex', expressions)
    const versionRegex = expressionOf(fields, 'versionRegex', expressions)
    const isAny = packageRegex !== undefined && fields.raw('packageKey') === undefined
    const packageKey = isAny ? null : fields.requiredText('packageKey')
    const versions = fields.list('versions')?.map((version) => storableText('versions', version)) ?? null
    if (versions?.some((version) => version.trim() === '')) throw empty('versions')
    if (!holdsPackages(type)) throw invalid('packageKey', `a ${type} repository has files, not packages`)
    if (packageKey !== null) packageKeysFor(packageKey, type)
    const patterns = {
      ...(packageRegex !== undefined && { packageRegex }),
      ...(versionRegex !== undefined && { versionRegex }),
    }
    return { packageKey, versions, ...patterns, ...dateOf(fields) }
  }
}

function refuseLater(fields: RequestFields, names: readonly string[], unbuilt: Unbuilt): void {
  for (const name of names) if (fields.raw(name) !== undefined) unbuilt(notBuilt(name, 'is not built yet'))
}
