import { AppError } from '../../core/errors.ts'
import { checkPackageKey, type PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { VersionOrder } from '../../core/version-order.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { LooseBlob } from '../../metadata/storage/loose-blobs.ts'

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
  /** What a version is besides its files, from its own document. Undefined: every version is listed, and about no other. Pure. */
  identify?(version: string, extension: Readonly<Record<string, unknown>>): VersionIdentity
  /**
   * Under which name a version stays when its own is given to another or is taken away, unless another version has its `digest`:
   * the manifest of an image stays under its digest. Undefined: it goes. Pure.
   */
  keptAs?(identity: VersionIdentity): KeptVersion | undefined
  /**
   * The blob of an image (`LooseBlob`) that a file is as long as a version claims it, and stays for a while when the last one that does is
   * deleted by its digest. Undefined: it goes with the version. Pure.
   */
  looseAs?(path: NodePath): Pick<LooseBlob, 'image' | 'name'> | undefined
}

/** What `package_version` says of a version besides. */
export function identityOf(
  rules: PackageRules,
  version: string,
  extension: Readonly<Record<string, unknown>>,
): VersionIdentity {
  return rules.identify?.(version, extension) ?? { listed: true, digest: null, subject: null }
}

export interface VersionIdentity {
  /** Not listed: there for clients that know its name; neither counted nor ever `latest`. */
  readonly listed: boolean
  /**
   * Of its main file, as clients of the format name it, e.g. `sha512:…`. Such a file is a document that names the version's content;
   * neither it nor other documents (role `manifest`) count as bytes of the version.
   */
  readonly digest: string | null
  /** `digest` of the version that it is about: a signature, say. That one may be absent. */
  readonly subject: string | null
}
export interface KeptVersion {
  readonly version: string
  /** Where its main file, the same content, lies from then on. */
  mainPath(from: NodePath): NodePath
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
  { type }: Pick<Repository, 'type'>,
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
