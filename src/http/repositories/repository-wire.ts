import { type TSchema, Type } from 'typebox'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import type { Dates } from '../dates.ts'

/** The repository record of core.md 6. `used`: logical bytes of its live files. */
export const toRepositoryInfo = (repository: Repository, used: number, dates: Dates) => ({
  projectId: repository.project,
  name: repository.name,
  type: repository.type,
  category: repository.category,
  public: repository.public,
  description: repository.description,
  displayName: repository.displayName,
  display: repository.display,
  owner: repository.owner,
  visibility: repository.visibility,
  configuration: repository.configuration,
  storageCredentialsKey: null,
  quota: repository.quota,
  used,
  createdBy: repository.createdBy,
  createdDate: dates.format(repository.createdAt),
  lastModifiedBy: repository.modifiedBy,
  lastModifiedDate: dates.format(repository.modifiedAt),
})

/** Says what it is and how it behaves, not where its content comes from. */
export const withoutOrigin = (info: ReturnType<typeof toRepositoryInfo>): ReturnType<typeof toRepositoryInfo> => {
  const { type, settings } = info.configuration
  return { ...info, configuration: { type, settings } }
}

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])

/** Schema of `toRepositoryInfo`, for the OpenAPI document. */
export const RepositoryInfo = Type.Object({
  projectId: Type.String(),
  name: Type.String(),
  type: Type.String(),
  category: Type.String(),
  public: Type.Boolean(),
  description: nullable(Type.String()),
  displayName: nullable(Type.String()),
  display: Type.Boolean(),
  owner: nullable(Type.String()),
  visibility: nullable(Type.String()),
  configuration: Type.Record(Type.String(), Type.Unknown()),
  storageCredentialsKey: Type.Null(),
  quota: nullable(Type.Integer({ description: 'Bytes; null: no limit' })),
  used: Type.Integer({ description: 'Bytes' }),
  createdBy: Type.String(),
  createdDate: Type.String(),
  lastModifiedBy: Type.String(),
  lastModifiedDate: Type.String(),
})
