import type { PackageConstraint } from '../task.ts'
import { matcherOf } from './expressions.ts'

/** What package constraints select. Constraints of a list add up; the fields of one constraint narrow each other. */
export interface PackageFilter {
  /** Whether any version of the package can be selected. */
  holdsPackage(packageKey: string): boolean
  holds(packageKey: string, version: string): boolean
  /** To learn which constraints with an expression select nothing. */
  watch(): PackageWatch
}

/** Is shown versions, and knows which constraints with an expression none of them fitted. */
export interface PackageWatch {
  saw(packageKey: string, version: string): void
  /** As they were given. */
  silent(): readonly PackageConstraint[]
}

/** A constraint as far as it speaks of versions. */
type Versions = (version: string) => boolean

/**
 * `packageRegex` matches the whole key (`npm://left-pad`), or the whole name without its scheme (`left-pad`); `versionRegex` the whole
 * version. A question costs a look-up and one pass over the texts, however many constraints there are.
 * @param sameKey keys that mean one package (`docker://` and `oci://`) have the same text here.
 */
export function createPackageFilter(
  constraints: readonly PackageConstraint[],
  sameKey: (packageKey: string) => string = (packageKey) => packageKey,
): PackageFilter {
  const versionPatterns = [...new Set(constraints.flatMap(({ versionRegex }) => versionRegex ?? []))]
  const matchVersions = matcherOf(versionPatterns)
  const versionsOf = ({ versions, versionRegex }: PackageConstraint): Versions => {
    const listed = (versions ?? []).length === 0 ? undefined : new Set(versions)
    const place = versionRegex == null ? undefined : versionPatterns.indexOf(versionRegex)
    return (version) =>
      (listed === undefined || listed.has(version)) && (place === undefined || matchVersions(version).includes(place))
  }
  const packagePatterns = [...new Set(constraints.flatMap(({ packageRegex }) => packageRegex ?? []))]
  const matchPackages = matcherOf(packagePatterns)
  const matchedBy = (packageKey: string): ReadonlySet<number> => {
    const cut = packageKey.indexOf('://')
    const name = cut < 0 ? [] : matchPackages(packageKey.slice(cut + 3))
    return new Set([...matchPackages(packageKey), ...name])
  }

  const byKey = new Map<string, { readonly pattern: number | undefined; readonly versions: Versions }[]>()
  const byPattern = packagePatterns.map((): Versions[] => [])
  for (const constraint of constraints) {
    const { packageKey, packageRegex } = constraint
    const pattern = packageRegex == null ? undefined : packagePatterns.indexOf(packageRegex)
    const versions = versionsOf(constraint)
    if (packageKey !== null) {
      const key = sameKey(packageKey)
      const some = byKey.get(key)
      if (some === undefined) byKey.set(key, [{ pattern, versions }])
      else some.push({ pattern, versions })
    } else if (pattern !== undefined) byPattern[pattern]!.push(versions)
  }

  function selectorsOf(packageKey: string): Versions[] {
    const matched = packagePatterns.length === 0 ? NONE : matchedBy(packageKey)
    const named = (byKey.get(sameKey(packageKey)) ?? []).filter(
      ({ pattern }) => pattern === undefined || matched.has(pattern),
    )
    return [...named.map(({ versions }) => versions), ...[...matched].flatMap((place) => byPattern[place]!)]
  }
  function watch(): PackageWatch {
    const unseen = Map.groupBy(
      constraints.filter((one) => one.packageRegex != null || one.versionRegex != null),
      ({ packageKey }) => (packageKey === null ? null : sameKey(packageKey)),
    )
    return {
      saw(packageKey, version) {
        if (unseen.size === 0) return
        const matched = packagePatterns.length === 0 ? NONE : matchedBy(packageKey)
        const fits = (one: PackageConstraint) =>
          (one.packageRegex == null || matched.has(packagePatterns.indexOf(one.packageRegex))) &&
          versionsOf(one)(version)
        for (const key of [null, sameKey(packageKey)]) {
          const rest = unseen.get(key)?.filter((one) => !fits(one))
          if (rest?.length === 0) unseen.delete(key)
          else if (rest !== undefined) unseen.set(key, rest)
        }
      },
      silent: () => [...unseen.values()].flat(),
    }
  }
  return {
    watch,
    holdsPackage: (packageKey) => selectorsOf(packageKey).length > 0,
    holds: (packageKey, version) => selectorsOf(packageKey).some((holds) => holds(version)),
  }
}
const NONE: ReadonlySet<number> = new Set()
