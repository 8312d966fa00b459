import {
  EVERY_PACKAGE,
  type PackageKey,
  packageKeysFor,
  packagePath,
  rangeOfPackage,
  rangeOfRow,
  versionPath,
} from '../../core/package-key.ts'
import { mergeRanges, type PathRange } from '../../core/path-range.ts'
import { holdsImages, type RepositoryType } from '../../core/repository-type.ts'
import type { Reader } from '../../metadata/database.ts'
import { packageRowsAt } from '../../metadata/replication/source-versions.ts'
import { createPackageFilter, type PackageFilter } from '../../tasks/constraints/package-filter.ts'
import type { PackageConstraint } from '../../tasks/task.ts'

/** What an object selects of the packages of its repository. */
export interface PackageScope {
  /** Hold all that is selected by name; empty where only paths are named. */
  readonly ranges: readonly PathRange[]
  /** Which versions of the ranges are meant; undefined: all. */
  readonly filter: PackageFilter | undefined
  /** What is about a version that is meant is meant as well: a signature, say. Only with a filter. */
  readonly referrers?: true | undefined
  /** Tells this selection from any other. */
  readonly identity: unknown
  /** Packages and versions that the task names. */
  readonly named: readonly NamedPackage[]
}
interface NamedPackage {
  /** Keys that mean it, as it was written first. */
  readonly keys: readonly PackageKey[]
  /** Empty: every one. */
  readonly versions: readonly string[]
}

/** @param constraints undefined: packages are not limited, by themselves or by paths. */
export function selectPackages(
  constraints: readonly PackageConstraint[] | undefined,
  type: RepositoryType,
  otherwise: 'all' | 'none',
): PackageScope {
  if (constraints === undefined) {
    const ranges = otherwise === 'all' ? [EVERY_PACKAGE] : []
    return { ranges, filter: undefined, identity: otherwise, named: [] }
  }
  const hasPattern = constraints.some(({ packageRegex, versionRegex }) => packageRegex != null || versionRegex != null)
  const named = constraints.flatMap(({ packageKey, versions }): NamedPackage[] =>
    packageKey === null ? [] : [{ keys: packageKeysFor(packageKey, type), versions: versions ?? [] }],
  )
  const isOpen = constraints.some(({ packageKey }) => packageKey === null)
  const choosesImages =
    holdsImages(type) && constraints.some(({ versions, versionRegex }) => versionRegex != null || versions?.length)
  // Where what is about a version lies among the others is not known.
  const rangesOf = choosesImages ? rangesOfPackages : rangesNamed
  return {
    ranges: isOpen ? [EVERY_PACKAGE] : mergeRanges(named.flatMap(rangesOf)),
    // Without a pattern, the ranges hold no other versions.
    filter: hasPattern || choosesImages ? createPackageFilter(constraints, sameKey(type)) : undefined,
    referrers: choosesImages ? true : undefined,
    identity: constraints.map(({ packageKey, versions, packageRegex, versionRegex }) => [
      ...[packageKey, versions ?? [], packageRegex ?? null, versionRegex ?? null],
    ]),
    named,
  }
}

const rangesOfPackages = ({ keys }: NamedPackage): PathRange[] => keys.map(rangeOfPackage)
function rangesNamed({ keys, versions }: NamedPackage): PathRange[] {
  return keys.flatMap((key) =>
    versions.length === 0
      ? [rangeOfPackage(key)]
      : [packagePath(key), ...versions.map((version) => versionPath(key, version))].map(rangeOfRow),
  )
}

/** Keys that mean one package have one text. */
const sameKey = (type: RepositoryType) => (key: string) => packageKeysFor(key, type).toSorted()[0]!

const NAMED_AT_ONCE = 200

/** Places of what the task names and what is not there; of a package that is missing, not of each of its versions. */
export async function missingPackages(
  reader: Reader,
  repoId: number,
  named: readonly NamedPackage[],
): Promise<string[]> {
  const missing = new Set<string>()
  for (let at = 0; at < named.length; at += NAMED_AT_ONCE) {
    const some = named.slice(at, at + NAMED_AT_ONCE)
    const keys = some.flatMap((one) => one.keys)
    const { packages } = await packageRowsAt(reader, repoId, keys.map(packagePath))
    const there = new Set<string>(packages.map(({ key }) => key))
    for (const { keys, versions } of some) {
      const present = keys.filter((key) => there.has(key))
      if (present.length === 0) missing.add(packagePath(keys[0]!))
      else
        for (const version of await absentVersions(reader, repoId, present, versions)) {
          missing.add(versionPath(present[0]!, version))
        }
    }
  }
  return [...missing]
}

async function absentVersions(
  reader: Reader,
  repoId: number,
  keys: readonly PackageKey[],
  versions: readonly string[],
): Promise<string[]> {
  const there = new Set<string>()
  for (let at = 0; at < versions.length; at += NAMED_AT_ONCE) {
    const paths = keys.flatMap((key) => versions.slice(at, at + NAMED_AT_ONCE).map((name) => versionPath(key, name)))
    for (const { version } of (await packageRowsAt(reader, repoId, paths)).versions) there.add(version.name)
  }
  return versions.filter((version) => !there.has(version))
}
