import { type Static, Type } from 'typebox'
import type { PackageDeletion } from '../../artifacts/packages/package-deletion.ts'
import type { Packages } from '../../artifacts/packages/packages.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Format } from '../../formats/format.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { RepositoryParams } from '../nodes/node-path.ts'
import type { Routes } from '../route.ts'
import { repositoryOf, urlNameOf } from './format-routes.ts'
import { PackageQuery } from './package-routes.ts'
import { toVersionDetail, VersionDetail } from './package-wire.ts'
import { VersionQuery } from './version-routes.ts'

export interface VersionDetailRouteDeps {
  readonly formats: readonly Format[]
  readonly repositories: Pick<Repositories, 'get'>
  readonly packages: Packages
  readonly deletion: PackageDeletion
  readonly dates: Dates
}

/** core.md 10: the calls that each format with packages has under its own name, `/<format>/ext/…`. */
export const versionDetailRoutes =
  ({ formats, repositories, packages, deletion, dates }: VersionDetailRouteDeps): Routes =>
  async (app) => {
    for (const format of formats.filter((one) => one.packages !== undefined)) {
      const path = `/${urlNameOf(format)}/ext`
      const tags = [`format ${urlNameOf(format)}`]
      const named = ({ projectId, repoName }: Static<typeof RepositoryParams>) =>
        repositoryOf(format, repositories, projectId, repoName)

      app.get(
        `${path}/version/detail/:projectId/:repoName`,
        {
          schema: {
            ...{ tags, summary: 'A version with its files' },
            params: RepositoryParams,
            querystring: VersionQuery,
            response: answers(VersionDetail),
          },
          config: { access: { repo: 'READ' } },
        },
        async ({ params, query }) => {
          const repository = await named(params)
          const version = await packages.getVersion(repository, query.packageKey, query.version)
          const [main, files] = [await packages.mainFileOf(version), await packages.filesOf(version)]
          return ok(toVersionDetail(version, main, files, repository, dates))
        },
      )

      app.delete(
        `${path}/package/delete/:projectId/:repoName`,
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
          await deletion.deletePackage(await named(params), query.packageKey, principal.userId)
          return ok(null)
        },
      )

      app.delete(
        `${path}/version/delete/:projectId/:repoName`,
        {
          schema: {
            ...{ tags, summary: 'Delete a version' },
            params: RepositoryParams,
            querystring: VersionQuery,
            response: answers(Type.Null()),
          },
          config: { access: { repo: 'DELETE' } },
        },
        async ({ params, query, principal }) => {
          const { packageKey, version } = query
          await deletion.deleteVersion(await named(params), packageKey, version, principal.userId)
          return ok(null)
        },
      )
    }
  }
