import { type Static, Type } from 'typebox'
import { type NodePath, normalisePath } from '../../core/paths.ts'

/** Parameters of a route whose URL ends with the path of a node. The router has percent-decoded them, once. */
export const NodeParams = Type.Object({
  projectId: Type.String(),
  repoName: Type.String(),
  '*': Type.Optional(Type.String({ description: 'Path of the node; left out: the root' })),
})
export const RepositoryParams = Type.Object({ projectId: Type.String(), repoName: Type.String() })

/** @throws AppError PATH_INVALID. */
export const nodePathOf = (params: Static<typeof NodeParams>): NodePath => normalisePath(params['*'] ?? '')
