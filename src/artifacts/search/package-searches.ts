import { type Page, pageOffset } from '../../core/paging.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { deletedVersions } from '../../metadata/packages/version-history.ts'
import { findPackages } from '../../metadata/search/package-search.ts'
import { type SearchedRepository, type SearchScope, searchedRepositories } from '../../metadata/search/search-scope.ts'
import type { PackageWithHistory } from '../packages/packages.ts'
import type { SearchLimits } from './node-searches.ts'
import { tooLarge } from './rule-parser.ts'
import { COUNTED_MATCHES, type SearchRequest } from './search-request.ts'

export interface FoundPackage {
  readonly repository: { readonly project: string; readonly name: string; readonly type: string }
  readonly found: PackageWithHistory
}
export interface FoundPackagePage extends Page<FoundPackage> {
  /** False: more match than were counted. */
  readonly totalRecordsExact: boolean
}

/** Packages by what is known of them. Only what the caller may read counts. */
export interface PackageSearches {
  /** @throws AppError QUERY_TOO_LARGE when there is too much to look at or to sort. */
  find(request: SearchRequest, scope: SearchScope): Promise<FoundPackagePage>
}

interface SearchDeps {
  readonly db: MetadataDatabase
  readonly limits: SearchLimits
}

export function createPackageSearches({ db, limits: { lookAtMost } }: SearchDeps): PackageSearches {
  return {
    async find({ project, rules, order, page }, scope) {
      const repositories = await searchedRepositories(db.read, project, scope, rules)
      if (repositories.length === 0) return { ...page, totalRecords: 0, totalRecordsExact: true, records: [] }
      const search = { project, repositories, scope, rules, order, countUpTo: COUNTED_MATCHES, lookAtMost }
      const found = await findPackages(db.slow, { ...search, limit: page.pageSize, offset: pageOffset(page) })
      if (found === undefined) {
        throw tooLarge(
          'rule',
          `over ${lookAtMost} packages would be looked at; narrow it by repoName, or by EQ or PREFIX of name`,
        )
      }
      const byId = new Map(repositories.map((repository) => [repository.id, repository]))
      const shown = (one: PackageWithHistory): FoundPackage => ({
        repository: { project, ...(byId.get(one.repoId) as SearchedRepository) },
        found: one,
      })
      const history = new Map<number, ReadonlyMap<string, readonly string[]>>()
      for (const [repoId, ours] of Map.groupBy(found.packages, (one) => one.repoId)) {
        const keys = ours.map(({ key }) => key)
        history.set(repoId, await deletedVersions(db.read, repoId, keys))
      }
      return {
        ...page,
        totalRecords: found.matches,
        totalRecordsExact: !found.more,
        records: found.packages.map((one) =>
          shown({ ...one, deletedVersions: history.get(one.repoId)?.get(one.key) ?? [] }),
        ),
      }
    },
  }
}
