import { Type } from 'typebox'
import type { Distributions } from '../../tasks/distributions/distributions.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { DistributionCreate, DistributionUpdate, RemoteInfo, RunOnceCreate, toRemoteInfo } from './distribution-wire.ts'
import { mountRunOnce, NOTHING, READING, REPOSITORY, RepositoryParams, WRITING } from './run-once-routes.ts'

export interface DistributionRouteDeps {
  readonly distributions: Distributions
  readonly dates: Dates
}

const PATH = '/replication/api/remote/distribution'
const tags = ['distribution'] as const
const NamedParams = Type.Object({ projectId: Type.String(), repoName: Type.String(), name: Type.String() })
const VersionQuery = Type.Object({
  packageName: Type.String({ description: 'Without scheme' }),
  version: Type.String(),
})

/** Contract 001: a repository is sent to other clusters and to registries by whoever may write it. */
export const distributionRoutes =
  ({ distributions, dates }: DistributionRouteDeps): Routes =>
  async (app) => {
    app.post(
      `${PATH}/create${REPOSITORY}`,
      {
        schema: {
          tags,
          summary: 'Distribute a repository',
          params: RepositoryParams,
          body: documented(DistributionCreate),
          response: NOTHING,
        },
        config: WRITING,
      },
      async ({ params, body, principal }, reply) => {
        const { projectId, repoName } = params
        await distributions.create(projectId, repoName, body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    app.post(
      `${PATH}/update${REPOSITORY}/:name`,
      {
        schema: {
          tags,
          summary: 'Change a distribution',
          params: NamedParams,
          body: documented(DistributionUpdate),
          response: NOTHING,
        },
        config: WRITING,
      },
      async ({ params, body, principal }, reply) => {
        const { projectId, repoName, name } = params
        await distributions.update(projectId, repoName, name, body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    const info = async (projectId: string, repoName: string, name?: string) =>
      ok((await distributions.list(projectId, repoName, name)).map((one) => toRemoteInfo(one, dates)))
    const infoAnswer = answers(Type.Array(RemoteInfo))
    app.get(
      `${PATH}/info${REPOSITORY}`,
      {
        schema: { tags, summary: 'Distributions of a repository', params: RepositoryParams, response: infoAnswer },
        config: READING,
      },
      async ({ params }) => info(params.projectId, params.repoName),
    )
    app.get(
      `${PATH}/info${REPOSITORY}/:name`,
      {
        schema: { tags, summary: 'A distribution of a repository', params: NamedParams, response: infoAnswer },
        config: READING,
      },
      async ({ params }) => info(params.projectId, params.repoName, params.name),
    )
    app.delete(
      `${PATH}/delete${REPOSITORY}/:name`,
      { schema: { tags, summary: 'Delete a distribution', params: NamedParams, response: NOTHING }, config: WRITING },
      async ({ params }) => {
        await distributions.delete(params.projectId, params.repoName, params.name)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/toggle/status${REPOSITORY}/:name`,
      {
        schema: { tags, summary: 'Switch a distribution on or off', params: NamedParams, response: NOTHING },
        config: WRITING,
      },
      async ({ params, principal }) => {
        await distributions.toggle(params.projectId, params.repoName, params.name, principal.userId)
        return ok(null)
      },
    )

    app.post(
      `${PATH}/run${REPOSITORY}/:name`,
      {
        schema: { tags, summary: 'Start a run of a distribution', params: NamedParams, response: NOTHING },
        config: WRITING,
      },
      async ({ params }) => {
        await distributions.run(params.projectId, params.repoName, params.name)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/push${REPOSITORY}/:name`,
      {
        schema: {
          tags,
          summary: 'Push one version again',
          params: NamedParams,
          querystring: VersionQuery,
          response: NOTHING,
        },
        config: WRITING,
      },
      async ({ params, query }) => {
        await distributions.push(params.projectId, params.repoName, params.name, query)
        return ok(null)
      },
    )

    app.post(
      `${PATH}/create/runOnceTask${REPOSITORY}`,
      {
        schema: {
          tags,
          summary: 'Prepare one distribution',
          params: RepositoryParams,
          body: documented(RunOnceCreate),
          response: NOTHING,
        },
        config: WRITING,
      },
      async ({ params, body, principal }, reply) => {
        const { projectId, repoName } = params
        await distributions.createRunOnce(projectId, repoName, body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    mountRunOnce(
      app,
      {
        tags,
        execute: [`${PATH}/execute/runOnceTask`, 'Start a prepared distribution'],
        status: [`${PATH}/get/runOnceTaskStatus`, 'The newest run of a distribution'],
        delete: [`${PATH}/delete/runOnceTask`, 'Delete a prepared distribution'],
        deleting: { repo: 'DELETE' },
      },
      {
        execute: distributions.executeRunOnce,
        status: distributions.statusOfRunOnce,
        delete: distributions.deleteRunOnce,
      },
      dates,
    )
  }
