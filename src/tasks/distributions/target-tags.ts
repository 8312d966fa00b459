import { isTag, TAG_RULES } from '../../core/content-name.ts'
import { invalid } from '../../core/errors.ts'
import { fieldsOf, type RequestFields, storableText } from '../../core/request-fields.ts'
import type { GivenRepository } from './given-repository.ts'
import type { GivenTarget } from './given-target.ts'

/** A package constraint, and what its only version is called at the target. */
export interface Renamed {
  readonly constraint: unknown
  readonly targetVersions: readonly string[] | undefined
}

/** @throws AppError PARAMETER_INVALID where a version cannot have another name at the target. */
export function targetTagsOf(
  fields: RequestFields,
  versions: readonly unknown[],
  target: GivenTarget,
  { type }: GivenRepository,
): readonly string[] | undefined {
  const targets = fields.list('targetVersions') ?? []
  if (targets.length === 0) return undefined
  if (versions.length !== 1) throw invalid('targetVersions', 'it needs exactly one version')
  if (target.kind !== 'registry') throw invalid('targetVersions', 'a cluster gets versions under their own names')
  if (type !== 'DOCKER' && type !== 'OCI') throw invalid('targetVersions', `a ${type} version keeps its name`)
  const names = targets.map((name) => storableText('targetVersions', name))
  const wrong = names.find((name) => !isTag(name))
  if (wrong === undefined) return [...new Set(names)]
  throw invalid('targetVersions', `[${wrong.slice(0, 160)}] is no tag: ${TAG_RULES}`)
}

/** A constraint as those who judge constraints know it. */
export function withoutTargets(constraint: unknown, target: GivenTarget, repository: GivenRepository): Renamed {
  if (typeof constraint !== 'object' || constraint === null || !('targetVersions' in constraint)) {
    return { constraint, targetVersions: undefined }
  }
  const { targetVersions: _, ...rest } = constraint
  const fields = fieldsOf(constraint, 'packageConstraints')
  return { constraint: rest, targetVersions: targetTagsOf(fields, fields.list('versions') ?? [], target, repository) }
}
