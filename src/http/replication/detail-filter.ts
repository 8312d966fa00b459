import { type Static, Type } from 'typebox'
import type { DetailFilter } from '../../metadata/replication/detail-pages.ts'
import { given, queryChoice } from '../query-choice.ts'

export const RUN_STATUSES = ['RUNNING', 'SUCCESS', 'FAILED'] as const

const prefix = (of: string) => Type.Optional(Type.String({ description: `Prefix of ${of}` }))
const exact = (of: string) => Type.Optional(Type.String({ description: `Exact ${of}` }))

/** Spread into the query schema of whatever shows details of a record. */
export const DETAIL_FILTERS = {
  packageName: prefix("a package's key or name"),
  repoName: exact('name of the local repository'),
  clusterName: exact('name of the target'),
  path: prefix("a file's path"),
  status: Type.Optional(Type.String({ description: RUN_STATUSES.join(', ') })),
  artifactName: prefix("a file's path or a package's name"),
  version: exact('version'),
}
const DetailQuery = Type.Object(DETAIL_FILTERS)

/** @throws AppError PARAMETER_VALIDATION_FAILED. */
export const detailFilterOf = (query: Static<typeof DetailQuery>): DetailFilter => ({
  packageName: given(query.packageName),
  repoName: given(query.repoName),
  clusterName: given(query.clusterName),
  path: given(query.path),
  status: queryChoice('status', query.status, RUN_STATUSES),
  artifactName: given(query.artifactName),
  version: given(query.version),
})
