import { type Static, Type } from 'typebox'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import type { DownloadCounts } from '../../artifacts/packages/download-counts.ts'
import type { PackageDeletion } from '../../artifacts/packages/package-deletion.ts'
import type { Packages, VersionOrderBy, VersionSortKey } from '../../artifacts/packages/packages.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import { pageRequest } from '../../core/paging.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { createDownloadAnswers } from '../files/download-answer.ts'
import { RepositoryParams } from '../nodes/node-path.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import type { Routes } from '../route.ts'
import { listOf, orderOf, SORT_FIELDS } from '../sorting.ts'
import { PackageQuery } from './package-routes.ts'
import { toVersionInfo, VersionInfo } from './package-wire.ts'

export interface VersionRouteDeps {
  readonly repositories: Pick<Repositories, 'get'>
  readonly packages: Packages
  readonly deletion: PackageDeletion
  readonly downloads: Downloads
  readonly counts: Pick<DownloadCounts, 'note'>
  readonly dates: Dates
}

const PATH = '/repository/api/version'
const tags = ['packages']
const IN_REPOSITORY = '/:projectId/:repoName'

export const VersionQuery = Type.Object({ ...PackageQuery.properties, version: Type.String() })
const ListingQuery = Type.Object({
  ...PackageQuery.properties,
  ...PAGE_FIELDS,
  ...SORT_FIELDS,
  version: Type.Optional(Type.String({ description: 'Beginning of the name' })),
  stageTag: Type.Optional(Type.String({ description: 'Those with one of them; separated by commas' })),
})
const ListingBody = Type.Object({
  pageNumber: Type.Optional(Type.Integer()),
  pageSize: Type.Optional(Type.Integer()),
  version: Type.Optional(Type.String({ description: 'Beginning of the name' })),
  stageTag: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  metadata: Type.Optional(Type.Array(Type.Object({ key: Type.String(), value: Type.Unknown() }))),
  ...SORT_FIELDS,
})

const SORT_KEYS: Readonly<Record<string, VersionSortKey>> = {
  name: 'name',
  version: 'name',
  size: 'size',
  ordinal: 'ordinal',
  downloads: 'downloads',
  createdBy: 'createdBy',
  createdDate: 'createdAt',
  lastModifiedBy: 'modifiedBy',
  lastModifiedDate: 'modifiedAt',
}

/** core.md 10: versions of a package. */
export const versionRoutes =
  ({ repositories, packages, deletion, downloads, counts, dates }: VersionRouteDeps): Routes =>
  async (app) => {
    const repositoryOf = ({ projectId, repoName }: Static<typeof RepositoryParams>): Promise<Repository> =>
      repositories.get(projectId, repoName)
    const files = createDownloadAnswers(downloads)

    app.get(
      `${PATH}/page${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Versions of a package, the highest first unless told otherwise' },
          params: RepositoryParams,
          querystring: ListingQuery,
          response: answers(PageData(VersionInfo)),
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params, query }) => {
        const filter = { namePrefix: query.version, stageTags: listOf(query.stageTag), metadata: undefined }
        const order = versionOrderOf(query)
        const repository = await repositoryOf(params)
        const page = await packages.pageVersions(repository, query.packageKey, filter, order, pageOf(query))
        return ok(toPage(page, (version) => toVersionInfo(version, dates)))
      },
    )

    app.post(
      `${PATH}/list${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Versions of a package, also by their metadata' },
          params: RepositoryParams,
          querystring: PackageQuery,
          body: ListingBody,
          response: answers(PageData(VersionInfo)),
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params, query, body }) => {
        const { version, stageTag, metadata, pageNumber, pageSize } = body
        const filter = { namePrefix: version, stageTags: listOf(stageTag), metadata }
        const order = versionOrderOf(body)
        const repository = await repositoryOf(params)
        const asked = pageRequest(pageNumber, pageSize)
        const page = await packages.pageVersions(repository, query.packageKey, filter, order, asked)
        return ok(toPage(page, (one) => toVersionInfo(one, dates)))
      },
    )

    app.delete(
      `${PATH}/delete${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Delete a version, and those of its files that no other version has' },
          params: RepositoryParams,
          querystring: VersionQuery,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, query, principal }) => {
        const { packageKey, version } = query
        await deletion.deleteVersion(await repositoryOf(params), packageKey, version, principal.userId)
        return ok(null)
      },
    )

    for (const method of ['GET', 'HEAD'] as const) {
      app.route({
        ...{ method, url: `${PATH}/download${IN_REPOSITORY}`, exposeHeadRoute: false },
        schema: {
          ...{ tags, summary: 'Download the main file of a version' },
          params: RepositoryParams,
          querystring: VersionQuery,
        },
        config: { access: { repo: 'DOWNLOAD' } },
        async handler(request, reply) {
          const { packageKey, version: name } = request.query
          const version = await packages.getVersion(await repositoryOf(request.params), packageKey, name)
          const main = await packages.mainFileOf(version)
          return files.stored(request, reply, main, async (open) => {
            const body = await open()
            counts.note(version.id)
            return body
          })
        },
      })
    }
  }

/** Descending when not said (core.md 10). @throws AppError PARAMETER_INVALID naming the parameter. */
function versionOrderOf(query: Parameters<typeof orderOf>[0]): VersionOrderBy[] {
  const order = orderOf(query, SORT_KEYS)
  const said = listOf(query.direction)
  if (order.length === 0) return [{ key: 'ordinal', direction: said[0]?.toLowerCase() === 'asc' ? 'asc' : 'desc' }]
  return order.map(({ key, direction }, index) => ({ key, direction: said[index] === undefined ? 'desc' : direction }))
}
