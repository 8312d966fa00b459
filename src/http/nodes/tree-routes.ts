import { Type } from 'typebox'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import type { TransferredTree, Trees } from '../../artifacts/trees/trees.ts'
import { empty } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import type { Routes } from '../route.ts'
import { NodeParams, nodePathOf, RepositoryParams } from './node-path.ts'
import { OperationData, toOperationInfo } from './tree-wire.ts'

export interface TreeRouteDeps {
  readonly repositories: Repositories
  readonly trees: Trees
  readonly dates: Dates
}

const PATH = '/repository/api/node'
const tags = ['nodes']

const DeletedData = Type.Object({
  deletedNumber: Type.Integer({ description: 'Files and folders' }),
  deletedSize: Type.Integer({ description: 'Bytes' }),
  deletedTime: Type.String({ description: 'Names the restore point' }),
})
const TransferBody = Type.Object({
  srcProjectId: Type.String(),
  srcRepoName: Type.String(),
  srcFullPath: Type.String(),
  destProjectId: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Left out: the source’s' })),
  destRepoName: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Left out: the source’s' })),
  destFullPath: Type.String({ description: 'An existing folder takes the source in' }),
  overwrite: Type.Optional(Type.Boolean({ default: false })),
})
const TransferredData = Type.Object({
  projectId: Type.String(),
  repoName: Type.String(),
  fullPath: Type.String({ description: 'Where it is now' }),
  fileNumber: Type.Integer(),
  folderNumber: Type.Integer(),
  size: Type.Integer({ description: 'Bytes' }),
})
const RenameQuery = Type.Object({ newFullPath: Type.String() })

/**
 * core.md 7.3: move, copy, rename, delete. Large trees take a while: the call waits for the end, and a caller that hangs up leaves
 * the operation running.
 */
export const treeRoutes =
  ({ repositories, trees, dates }: TreeRouteDeps): Routes =>
  async (app) => {
    app.delete(
      `${PATH}/delete/:projectId/:repoName/*`,
      {
        schema: { tags, summary: 'Delete a file or a folder', params: NodeParams, response: answers(DeletedData) },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, principal }, reply) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        const gone = await trees.delete(repository, path, principal.userId, clientGone(reply))
        return ok({ deletedNumber: gone.nodes, deletedSize: gone.bytes, deletedTime: dates.format(gone.at) })
      },
    )

    app.post(
      `${PATH}/rename/:projectId/:repoName/*`,
      {
        schema: {
          ...{ tags, summary: 'Rename a file or a folder, within its repository' },
          ...{ params: NodeParams, querystring: RenameQuery, response: answers(TransferredData) },
        },
        config: { access: { repo: 'DELETE' } },
      },
      async (request, reply) => {
        const { params, query, principal } = request
        const { projectId, repoName } = params
        if (query.newFullPath.trim() === '') throw empty('newFullPath')
        const [path, newPath] = [nodePathOf(params), normalisePath(query.newFullPath)]
        await request.authorise('WRITE', { projectId, repoName, path: newPath })
        const repository = await repositories.get(projectId, repoName)
        const moved = await trees.rename(repository, path, newPath, principal.userId, clientGone(reply))
        return ok(toTransferred(repository, moved))
      },
    )

    for (const kind of ['copy', 'move'] as const) {
      const summary = kind === 'copy' ? 'Copy a file or a folder' : 'Move a file or a folder'
      app.post(
        `${PATH}/${kind}`,
        {
          schema: { tags, summary, body: TransferBody, response: answers(TransferredData) },
          config: { access: 'AUTHENTICATED' },
        },
        async (request, reply) => {
          const { body, principal } = request
          const source = { projectId: body.srcProjectId, repoName: body.srcRepoName, path: pathIn(body, 'srcFullPath') }
          const target = {
            projectId: body.destProjectId ?? source.projectId,
            repoName: body.destRepoName ?? source.repoName,
            path: pathIn(body, 'destFullPath'),
          }
          await request.authorise('READ', source)
          if (kind === 'move') await request.authorise('DELETE', source)
          await request.authorise('WRITE', target)
          const from = { repository: await repositories.get(source.projectId, source.repoName), path: source.path }
          const to = { repository: await repositories.get(target.projectId, target.repoName), path: target.path }
          const overwrite = body.overwrite ? 'replace' : 'refuse'
          const done = await trees.transfer({ kind, from, to, overwrite }, principal.userId, clientGone(reply))
          return ok(toTransferred(to.repository, done))
        },
      )
    }

    app.get(
      `${PATH}/operations/:projectId/:repoName`,
      {
        schema: {
          ...{ tags, summary: 'Operations on large trees that run, or ended within a day' },
          ...{ params: RepositoryParams, response: answers(Type.Array(OperationData)) },
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params }) => {
        const repository = await repositories.get(params.projectId, params.repoName)
        return ok((await trees.listOperations(repository)).map((operation) => toOperationInfo(operation, dates)))
      },
    )
  }

/** @throws AppError PARAMETER_EMPTY, PATH_INVALID. */
function pathIn(body: { srcFullPath: string; destFullPath: string }, name: 'srcFullPath' | 'destFullPath') {
  if (body[name].trim() === '') throw empty(name)
  return normalisePath(body[name])
}

const toTransferred = ({ project, name }: Repository, { path, files, folders, bytes }: TransferredTree) => ({
  projectId: project,
  repoName: name,
  fullPath: path,
  fileNumber: files,
  folderNumber: folders,
  size: bytes,
})
