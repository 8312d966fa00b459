import { Type } from 'typebox'
import type { PackageDeletion } from '../../artifacts/packages/package-deletion.ts'
import type { Packages } from '../../artifacts/packages/packages.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { EntryBody, toEntry } from '../nodes/metadata-routes.ts'
import { RepositoryParams } from '../nodes/node-path.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import type { Routes } from '../route.ts'
import { PackageInfo, toPackageInfo } from './package-wire.ts'

export interface PackageRouteDeps {
  readonly repositories: Pick<Repositories, 'get'>
  readonly packages: Packages
  readonly deletion: PackageDeletion
  readonly dates: Dates
}

const PATH = '/repository/api/package'
const tags = ['packages']
const IN_REPOSITORY = '/:projectId/:repoName'

const PageQuery = Type.Object({
  ...PAGE_FIELDS,
  packageName: Type.Optional(Type.String({ description: 'Beginning of the name' })),
})
export const PackageQuery = Type.Object({ packageKey: Type.String({ description: 'E.g. npm://left-pad' }) })

const VersionMetadataBody = Type.Object({
  packageKey: Type.String(),
  version: Type.String(),
  versionMetadata: Type.Array(EntryBody, { description: 'Each replaces the entry of the same key' }),
})

/** core.md 10: packages of a repository, and metadata of their versions (8). */
export const packageRoutes =
  ({ repositories, packages, deletion, dates }: PackageRouteDeps): Routes =>
  async (app) => {
    const repositoryOf = ({ projectId, repoName }: { projectId: string; repoName: string }): Promise<Repository> =>
      repositories.get(projectId, repoName)

    app.get(
      `${PATH}/page${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Packages, ascending by name' },
          params: RepositoryParams,
          querystring: PageQuery,
          response: answers(PageData(PackageInfo)),
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params, query }) => {
        const repository = await repositoryOf(params)
        const page = await packages.page(repository, query.packageName, pageOf(query))
        return ok(toPage(page, (one) => toPackageInfo(one, repository, dates)))
      },
    )

    app.get(
      `${PATH}/info${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'One package' },
          params: RepositoryParams,
          querystring: PackageQuery,
          response: answers(PackageInfo),
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params, query }) => {
        const repository = await repositoryOf(params)
        return ok(toPackageInfo(await packages.get(repository, query.packageKey), repository, dates))
      },
    )

    app.delete(
      `${PATH}/delete${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Delete a package with all its versions' },
          params: RepositoryParams,
          querystring: PackageQuery,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, query, principal }) => {
        await deletion.deletePackage(await repositoryOf(params), query.packageKey, principal.userId)
        return ok(null)
      },
    )

    app.post(
      `/repository/api/metadata/package${IN_REPOSITORY}`,
      {
        schema: {
          ...{ tags: ['metadata'], summary: 'Save metadata of a version' },
          params: RepositoryParams,
          body: VersionMetadataBody,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'UPDATE' } },
      },
      async ({ params, body, principal }) => {
        const { packageKey, version, versionMetadata } = body
        const entries = versionMetadata.map(toEntry)
        await packages.saveMetadata(await repositoryOf(params), packageKey, version, entries, principal.userId)
        return ok(null)
      },
    )
  }
