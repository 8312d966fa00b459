import { type PackageKey, packageKey, packageNameOf, versionPath } from '../../core/package-key.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { ForeignSource } from '../../formats/foreign.ts'
import type { RunObject } from '../runs/run-spec.ts'

/** A version that a registry is asked for. */
export interface VersionToImport {
  /** Where it is going to stand among the paths of the change log. */
  readonly path: string
  readonly packageName: string
  readonly name: string
}

/** What an object of a task means at its registry, in order. */
export interface ImportScope {
  readonly versions: readonly VersionToImport[]
  /** Packages that it names and that the registry does not have. */
  readonly absent: readonly PackageKey[]
}

/** Asks the registry for what is not named. @throws AppError, also when it does not tell which packages it has. */
export async function importScopeOf(
  { packages, repoType }: RunObject,
  source: Pick<ForeignSource, 'packages' | 'versions'>,
  signal: AbortSignal,
): Promise<ImportScope> {
  const wanted =
    packages === undefined
      ? (await source.packages(signal)).map((name) => ({ name, versions: [] }))
      : packages.flatMap(({ packageKey: key, versions }) =>
          key === null ? [] : [{ name: packageNameOf(key as PackageKey), versions: versions ?? [] }],
        )
  const versions = new Map<string, VersionToImport>()
  const absent: PackageKey[] = []
  for (const { name: packageName, versions: named } of wanted) {
    const key = packageKey(repoType as RepositoryType, packageName)
    const names = named.length > 0 ? named : await source.versions(packageName, signal)
    if (names === undefined) absent.push(key)
    for (const name of names ?? []) {
      const path = versionPath(key, name)
      versions.set(path, { path, packageName, name })
    }
  }
  return { versions: [...versions.values()], absent }
}
