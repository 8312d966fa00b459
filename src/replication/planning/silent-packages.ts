import { packageKeysFor, packagePath, parsePackagePath } from '../../core/package-key.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { Reader } from '../../metadata/database.ts'
import { packageWords } from '../../tasks/constraints/package-words.ts'
import type { PackageConstraint } from '../../tasks/task.ts'
import type { LinkView } from './link-plan.ts'
import { versionsIn } from './package-artifacts.ts'

/**
 * Package constraints with an expression that no version fits, as `packageWords`.
 * @param absent places of packages that are missing altogether, and are reported as such.
 */
export async function silentPackages(
  reader: Reader,
  { scope, repository }: Pick<LinkView, 'scope' | 'repository'>,
  absent: readonly string[],
): Promise<string[]> {
  const watch = scope.packages?.filter?.watch()
  if (watch === undefined) return []
  for await (const page of versionsIn(reader, scope, scope.ranges)) {
    for (const path of page) {
      const { key, version } = parsePackagePath(path)!
      if (version !== undefined) watch.saw(key, version)
    }
    if (watch.silent().length === 0) return []
  }
  const known = new Set(absent)
  const isReported = ({ packageKey }: PackageConstraint) =>
    packageKey !== null &&
    packageKeysFor(packageKey, repository.type as RepositoryType).some((key) => known.has(packagePath(key)))
  return [
    ...new Set(
      watch
        .silent()
        .filter((one) => !isReported(one))
        .map(packageWords),
    ),
  ]
}
