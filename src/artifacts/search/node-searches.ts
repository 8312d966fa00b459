import type { Clock } from '../../core/clock.ts'
import type { Page } from '../../core/paging.ts'
import { pageOffset } from '../../core/paging.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { type PreparedSearch, prepareSearch } from '../../metadata/search/node-search.ts'
import { type SearchScope, searchedRepositories } from '../../metadata/search/search-scope.ts'
import { tooLarge } from './rule-parser.ts'
import { COUNTED_MATCHES, type SearchRequest } from './search-request.ts'

export interface FoundNode {
  readonly repository: { readonly project: string; readonly name: string }
  /** Its metadata is empty unless it was asked for. */
  readonly node: NodeRecord
}
export interface FoundNodes extends Page<FoundNode> {
  /** False: more match than were counted. */
  readonly totalRecordsExact: boolean
}
export interface RepositoryMatches {
  readonly repoName: string
  readonly files: number
}

/** Files and folders by what is known of them. Only what the caller may read counts. */
export interface NodeSearches {
  /** @throws AppError QUERY_TOO_LARGE when no index bounds it and there is too much to look at or to sort. */
  find(request: SearchRequest, scope: SearchScope): Promise<FoundNodes>
  /** Files of a name (`*`: any run of characters) in each repository that has some, ascending. @throws AppError as `find`. */
  overview(request: Pick<SearchRequest, 'project' | 'rules'>, scope: SearchScope): Promise<RepositoryMatches[]>
}

export interface SearchLimits {
  /** Rows of an index that one search looks at. */
  readonly lookAtMost: number
}

interface SearchDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly limits: SearchLimits
}

export function createNodeSearches({ db, clock, limits }: SearchDeps): NodeSearches {
  const { lookAtMost } = limits

  async function prepare({ project, rules }: Pick<SearchRequest, 'project' | 'rules'>, scope: SearchScope) {
    const repositories = await searchedRepositories(db.read, project, scope, rules)
    const search = { project, repositories, scope, rules, now: clock.now(), countUpTo: COUNTED_MATCHES, lookAtMost }
    const names = new Map(repositories.map(({ id, name }) => [id, name]))
    const prepared = repositories.length === 0 ? undefined : await prepareSearch(db.slow, search)
    return { names, prepared }
  }
  async function counted(prepared: PreparedSearch) {
    const count = await prepared.count()
    if (count !== undefined) return count
    throw tooLarge('rule', `fewer than ${COUNTED_MATCHES} match among the first ${lookAtMost} looked at; ${NARROW}`)
  }

  return {
    async find(request, scope) {
      const { page, order, project } = request
      const { names, prepared } = await prepare(request, scope)
      if (prepared === undefined) return { ...page, totalRecords: 0, totalRecordsExact: true, records: [] }
      const count = await counted(prepared)
      const shown = showsMetadata(request.select) ? 'with-metadata' : 'without-metadata'
      const window = { order, limit: page.pageSize, offset: pageOffset(page), metadata: shown } as const
      const nodes = window.offset >= count.matches ? [] : await prepared.window(window, count)
      if (nodes === undefined) throw tooLarge('sort', `too many match to be sorted like that; ${NARROW}`)
      return {
        ...page,
        totalRecords: count.matches,
        totalRecordsExact: !count.more,
        records: nodes.map((node) => ({ repository: { project, name: names.get(node.repoId)! }, node })),
      }
    },
    async overview(request, scope) {
      const { names, prepared } = await prepare(request, scope)
      const matches = prepared === undefined ? new Map<number, number>() : await prepared.countByRepository()
      if (matches === undefined) throw tooLarge('name', `over ${lookAtMost} nodes would be looked at; ${NARROW}`)
      return [...names].flatMap(([id, repoName]) => {
        const files = matches.get(id)
        return files === undefined ? [] : [{ repoName, files }]
      })
    },
  }
}

const NARROW = 'narrow the rule by repoName, or by EQ, IN or PREFIX of name, path or fullPath'

const showsMetadata = (select: readonly string[] | undefined): boolean =>
  select === undefined || select.some((field) => /^(nodeMetadata$|metadata)/.test(field))
