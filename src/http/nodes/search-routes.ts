import { type TSchema, Type } from 'typebox'
import type { FoundNode, NodeSearches } from '../../artifacts/search/node-searches.ts'
import { nodeWords } from '../../artifacts/search/node-words.ts'
import type { FoundPackage, PackageSearches } from '../../artifacts/search/package-searches.ts'
import { packageWords } from '../../artifacts/search/package-words.ts'
import { parseRule } from '../../artifacts/search/rule-parser.ts'
import { parseSearch } from '../../artifacts/search/search-request.ts'
import type { Rights } from '../../auth/rights.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PackageInfo, toPackageInfo } from '../packages/package-wire.ts'
import { PageData, toPage } from '../paging.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { listOf } from '../sorting.ts'
import { NodeInfo, toNodeInfo } from './node-wire.ts'
import { SearchBody } from './search-schemas.ts'
import { selected } from './selected-fields.ts'

export interface SearchRouteDeps {
  readonly searches: NodeSearches
  readonly packageSearches: PackageSearches
  readonly rights: Pick<Rights, 'readableScope'>
  readonly dates: Dates
}

const PATH = '/repository/api/node/search'
const tags = ['search']
const READERS = { access: 'AUTHENTICATED', audit: 'never' } as const

const OverviewQuery = Type.Object({
  projectId: Type.String(),
  name: Type.String({ minLength: 1, description: 'Of the files; `*` stands for any run of characters' }),
  exRepo: Type.Optional(Type.String({ description: 'Repositories to leave out, separated by commas' })),
})
const OverviewData = Type.Object({
  projectId: Type.String(),
  sum: Type.Integer(),
  repos: Type.Array(Type.Object({ repoName: Type.String(), files: Type.Integer() })),
})
const FoundPage = (record: TSchema) =>
  Type.Intersect([
    PageData(record),
    Type.Object({ totalRecordsExact: Type.Boolean({ description: 'False: more than `totalRecords` match' }) }),
  ])

/** core.md 9: files, folders and packages by what is known of them. */
export const searchRoutes =
  ({ searches, packageSearches, rights, dates }: SearchRouteDeps): Routes =>
  async (app) => {
    const words = nodeWords(Object.keys(NodeInfo.properties), dates.parse)
    const toRecord =
      (select: readonly string[] | undefined) =>
      ({ node, repository }: FoundNode) =>
        selected(toNodeInfo(node, repository, dates), select)

    app.post(
      PATH,
      {
        schema: {
          tags,
          summary: 'Search files and folders',
          body: documented(SearchBody),
          response: answers(FoundPage(Type.Partial(NodeInfo))),
        },
        config: READERS,
      },
      async ({ body, principal }) => {
        const request = parseSearch(body, words)
        const found = await searches.find(request, await rights.readableScope(principal, request.project))
        const { totalRecordsExact } = found
        return ok({ ...toPage(found, toRecord(request.select)), totalRecordsExact })
      },
    )

    const wordsOfPackages = packageWords(Object.keys(PackageInfo.properties), dates.parse)
    app.post(
      '/repository/api/package/search',
      {
        schema: {
          ...{ tags, summary: 'Search packages', body: documented(SearchBody) },
          response: answers(FoundPage(Type.Partial(PackageInfo))),
        },
        config: READERS,
      },
      async ({ body, principal }) => {
        const request = parseSearch(body, wordsOfPackages)
        const page = await packageSearches.find(request, await rights.readableScope(principal, request.project))
        const shown = ({ found, repository }: FoundPackage) =>
          selected(toPackageInfo(found, repository, dates), request.select)
        return ok({ ...toPage(page, shown), totalRecordsExact: page.totalRecordsExact })
      },
    )

    app.get(
      `${PATH}/overview`,
      {
        schema: {
          ...{ tags, summary: 'Count files of a name per repository' },
          ...{ querystring: OverviewQuery, response: answers(OverviewData) },
        },
        config: READERS,
      },
      async ({ query, principal }) => {
        const { projectId, name, exRepo } = query
        const rules = [
          parseRule({ field: 'name', operation: 'MATCH', value: name }, words),
          parseRule({ field: 'folder', value: false }, words),
          parseRule({ field: 'repoName', operation: 'NIN', value: listOf(exRepo) }, words),
        ]
        const scope = await rights.readableScope(principal, projectId)
        const repos = await searches.overview({ project: projectId, rules }, scope)
        return ok({ projectId, sum: repos.reduce((sum, { files }) => sum + files, 0), repos })
      },
    )
  }
