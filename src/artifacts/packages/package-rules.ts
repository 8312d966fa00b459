import { AppError } from '../../core/errors.ts'
import { checkPackageKey, type PackageKey } from '../../core/package-key.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { VersionOrder } from '../../core/version-order.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'

/** What a package type says about its packages and versions; `formats/` has one for each type that knows packages. */
export interface PackageRules {
  /** `npm://left-pad` → `{ name: 'left-pad' }`; undefined when it is no key of this format. Pure. */
  parsePackageKey(key: PackageKey): { readonly name: string } | undefined
  /** Where a version stands among the others: `semanticOrder`, `creationOrder`, or a rule of its own. Pure. */
  orderOf(version: string, createdAt: number): VersionOrder
  /** A version that is there, published again with the same files and the same words: done already, or refused like any other. */
  readonly identical: 'accept' | 'refuse'
  /** The name of a version that was deleted: free again, or never more. */
  readonly deleted: 'allow' | 'refuse'
}

/** By the contract's `repoType`; undefined for types without packages. */
export type RulesOf = (type: string) => PackageRules | undefined

/** @throws AppError METHOD_NOT_ALLOWED for a repository without packages. */
export function requireRules(rulesOf: RulesOf, { project, name, type }: Repository): PackageRules {
  const rules = rulesOf(type)
  if (rules !== undefined) return rules
  const why = `the ${type} repository [${project}/${name}] has files, not packages`
  throw new AppError('METHOD_NOT_ALLOWED', `Method not allowed: ${why}`, { type })
}

/** For what can only be about a package that is there. @throws AppError PACKAGE_NOT_FOUND, PARAMETER_INVALID naming `packageKey`. */
export function keyNamed(rulesOf: RulesOf, repository: Repository, text: string): PackageKey {
  const rules = rulesOf(repository.type)
  if (rules === undefined) throw packageNotFound(text)
  return packageNamed(rules, repository, text).key
}

/** @throws AppError PARAMETER_INVALID naming `packageKey`. */
export function packageNamed(
  rules: PackageRules,
  { type }: Repository,
  text: string,
): { readonly key: PackageKey; readonly name: string } {
  const key = checkPackageKey(text, type as RepositoryType)
  const parsed = rules.parsePackageKey(key)
  if (parsed === undefined) {
    throw new AppError('PARAMETER_INVALID', `Parameter [packageKey] is invalid: no ${type} package is called so`, {
      name: 'packageKey',
    })
  }
  return { key, name: parsed.name }
}

export const packageNotFound = (key: string): AppError =>
  new AppError('PACKAGE_NOT_FOUND', `Package [${key}] not found`, { key })
export const versionNotFound = (key: string, version: string): AppError =>
  new AppError('VERSION_NOT_FOUND', `Version [${version}] of package [${key}] not found`, { key, version })
export const versionExisted = (key: string, version: string, why = 'it is published already'): AppError =>
  new AppError('VERSION_EXISTED', `Version [${version}] of package [${key}] existed: ${why}`, { key, version })
