import { invalid } from './errors.ts'
import type { PathRange } from './path-range.ts'
import { packageScheme, packageSchemes, type RepositoryType } from './repository-type.ts'

/** `<scheme>://<name>`, e.g. `npm://@scope/name` or `gav://org.example:lib`; one per repository (core.md 10). */
export type PackageKey = string & { readonly __brand: 'PackageKey' }

/** Both stand in one row of a PostgreSQL B-tree (2,704 bytes), with room for what else does. */
const MAX_KEY_BYTES = 1_024
const MAX_VERSION_BYTES = 255
const CONTROL = /[\u0000-\u001f\u007f]/
/** Below the first character of every node path, so that no range of paths holds a package. NUL, which PostgreSQL cannot store, would be as low. */
const MARK = '\u0001'

/** @throws AppError PARAMETER_INVALID when it would be too long or cannot be stored. */
export const packageKey = (type: RepositoryType, name: string): PackageKey =>
  checkPackageKey(`${packageScheme(type)}://${name}`, type)

/**
 * What a request names must be a key of the repository's type.
 * @throws AppError PARAMETER_INVALID naming `packageKey`.
 */
export function checkPackageKey(text: string, type: RepositoryType): PackageKey {
  const scheme = `${packageScheme(type)}://`
  if (!text.startsWith(scheme) || text.length === scheme.length) {
    throw invalid('packageKey', `keys of a ${type} repository read ${scheme}<name>`)
  }
  refuseUnstorable('packageKey', text, MAX_KEY_BYTES)
  return text as PackageKey
}
/** `npm://left-pad` → `left-pad`. */
export const packageNameOf = (key: PackageKey): string => key.slice(key.indexOf('://') + 3)

/**
 * What a request looks for, under every scheme that packages of such a repository may carry; the one that was written first.
 * @throws AppError PARAMETER_INVALID naming `packageKey`.
 */
export function packageKeysFor(text: string, type: RepositoryType): PackageKey[] {
  const schemes = packageSchemes(type)
  const written = schemes.find((scheme) => text.startsWith(`${scheme}://`)) ?? schemes[0]!
  const name = text.slice(`${written}://`.length)
  if (!text.startsWith(`${written}://`) || name === '') checkPackageKey(text, type)
  const keys = [written, ...schemes.filter((scheme) => scheme !== written)].map((scheme) => `${scheme}://${name}`)
  for (const key of keys) refuseUnstorable('packageKey', key, MAX_KEY_BYTES)
  return keys as PackageKey[]
}

/** @throws AppError PARAMETER_INVALID naming `version`. */
export function checkVersionName(name: string): string {
  if (name.trim() === '') throw invalid('version', 'it is blank')
  refuseUnstorable('version', name, MAX_VERSION_BYTES)
  return name
}

function refuseUnstorable(field: string, text: string, maxBytes: number): void {
  if (CONTROL.test(text)) throw invalid(field, 'it holds a control character')
  if (!text.isWellFormed()) throw invalid(field, 'it is not well-formed Unicode')
  if (Buffer.byteLength(text) > maxBytes) throw invalid(field, `it is longer than ${maxBytes} bytes`)
}

/** Where a package and its versions stand in the change log and in fingerprints: among paths, but outside of all ranges of paths. */
export const packagePath = (key: PackageKey): string => `${MARK}pkg/${key}`
export const versionPath = (key: PackageKey, version: string): string => `${packagePath(key)}${MARK}${version}`

/** The reverse of both; undefined for the path of a node. */
export function parsePackagePath(
  path: string,
): { readonly key: PackageKey; readonly version: string | undefined } | undefined {
  if (!path.startsWith(`${MARK}pkg/`)) return undefined
  const [key = '', version] = path.slice(5).split(MARK)
  return { key: key as PackageKey, version }
}

/** All packages and versions of a repository. */
export const EVERY_PACKAGE: PathRange = { lo: `${MARK}pkg/`, hi: `${MARK}pkg0` }
export const isPackagePath = (path: string): boolean => path.startsWith(MARK)
/** A package and all its versions. */
export const rangeOfPackage = (key: PackageKey): PathRange => ({
  lo: packagePath(key),
  hi: `${packagePath(key)}\u0002`,
})
/** One row of it: what is said about a package, or a version. */
export const rangeOfRow = (path: string): PathRange => ({ lo: path, hi: `${path}${MARK}` })
