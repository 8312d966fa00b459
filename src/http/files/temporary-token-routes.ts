import type { FastifyRequest } from 'fastify'
import { type TSchema, Type } from 'typebox'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import {
  RIGHT_BEHIND,
  type TemporaryAccess,
  type TemporaryGrant,
  type TemporaryOrder,
  usesOf,
} from '../../artifacts/uploads/temporary-access.ts'
import { empty, missing } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { fieldsOf, type RequestFields, storableText } from '../../core/request-fields.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'

export interface TemporaryTokenRouteDeps {
  readonly repositories: Repositories
  readonly temporary: Pick<TemporaryAccess, 'create'>
  readonly dates: Dates
  /** Where clients reach this server; undefined: where the request came to. */
  readonly publicUrl: string | undefined
}

const tags = ['temporary access']
const TYPES = ['UPLOAD', 'DOWNLOAD', 'ALL'] as const
/** core.md 11.6. */
const DEFAULT_SECONDS = 86_400

/** core.md 11.6: tokens and signed addresses for those who have no login. */
export const temporaryTokenRoutes =
  ({ repositories, temporary, dates, publicUrl }: TemporaryTokenRouteDeps): Routes =>
  async (app) => {
    async function create(request: FastifyRequest<{ Body: unknown }>) {
      const fields = fieldsOf(request.body)
      const order = orderOf(fields)
      const name = { projectId: fields.requiredText('projectId'), repoName: fields.requiredText('repoName') }
      for (const path of order.paths) {
        for (const use of usesOf(order.type)) await request.authorise(RIGHT_BEHIND[use], { ...name, path })
      }
      const repository = await repositories.get(name.projectId, name.repoName)
      const { userId, appId = null } = request.principal
      const made = await temporary.create(repository, order, { createdBy: userId, appId })
      return { repository, made }
    }
    const toWire = (repository: Repository, grant: TemporaryGrant) => ({
      projectId: repository.project,
      repoName: repository.name,
      fullPath: grant.path,
      authorizedUserSet: grant.users ?? null,
      authorizedIpSet: grant.addresses ?? null,
      expireDate: dates.format(grant.expiresAt),
      permits: grant.permits,
      type: grant.type,
    })

    app.post(
      '/generic/temporary/token/create',
      {
        schema: {
          tags,
          summary: 'Make temporary tokens',
          body: Order,
          response: answers(entriesWith({ token: Secret })),
        },
        config: { access: 'AUTHENTICATED', audit: 'always' },
      },
      async (request) => {
        const { repository, made } = await create(request)
        return ok(made.map((grant) => ({ ...toWire(repository, grant), token: grant.token })))
      },
    )
    app.post(
      '/generic/temporary/url/create',
      {
        schema: {
          tags,
          summary: 'Make signed addresses',
          body: Order,
          response: answers(entriesWith({ url: Secret })),
        },
        config: { access: 'AUTHENTICATED', audit: 'always' },
      },
      async (request) => {
        const { repository, made } = await create(request)
        const base = publicUrl ?? `${request.protocol}://${request.host}`
        return ok(made.map((grant) => ({ ...toWire(repository, grant), url: signedUrl(base, repository, grant) })))
      },
    )
  }

/** Of the download, when a token is for both; the upload has its own word in the same place. */
function signedUrl(
  base: string,
  { project, name }: Repository,
  { type, path, token }: TemporaryGrant & { readonly token: string },
): string {
  const use = type === 'UPLOAD' ? 'upload' : 'download'
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  return `${base.replace(/\/+$/, '')}/generic/temporary/${use}/${project}/${name}${encoded}?token=${token}`
}

function orderOf(fields: RequestFields): TemporaryOrder {
  const type = fields.choice('type', TYPES)
  if (type === undefined) throw missing('type')
  const paths = texts(fields, 'fullPathSet')
  if (paths === undefined) throw missing('fullPathSet')
  if (paths.length === 0) throw empty('fullPathSet')
  return {
    paths: [...new Set(paths.map(normalisePath))],
    type,
    users: someTexts(fields, 'authorizedUserSet'),
    addresses: someTexts(fields, 'authorizedIpSet'),
    expireSeconds: fields.integer('expireSeconds') ?? DEFAULT_SECONDS,
    permits: fields.integer('permits'),
  }
}

const texts = (fields: RequestFields, name: string): string[] | undefined =>
  fields.list(name)?.map((text, at) => storableText(`${name}[${at}]`, text))
/** An empty set restricts nobody, as a missing one. */
function someTexts(fields: RequestFields, name: string): string[] | undefined {
  const found = texts(fields, name)
  return found === undefined || found.length === 0 ? undefined : [...new Set(found)]
}

const Secret = Type.String({ description: 'Shown here and never again' })
const TextSet = Type.Array(Type.String())
const Order = documented(
  Type.Object({
    projectId: Type.String(),
    repoName: Type.String(),
    fullPathSet: Type.Array(Type.String({ description: 'A file, or a folder with all below it' })),
    authorizedUserSet: Type.Optional(TextSet),
    authorizedIpSet: Type.Optional(Type.Array(Type.String({ description: 'Address or network, e.g. 10.0.0.0/8' }))),
    expireSeconds: Type.Optional(Type.Integer({ description: '86400 when left out; 0 or less: never' })),
    permits: Type.Optional(Type.Integer({ description: 'Uses; left out: any number' })),
    type: Type.Union(TYPES.map((type) => Type.Literal(type))),
  }),
)

const entriesWith = (secret: Readonly<Record<string, TSchema>>) =>
  Type.Array(
    Type.Object({
      projectId: Type.String(),
      repoName: Type.String(),
      fullPath: Type.String(),
      ...secret,
      authorizedUserSet: Type.Union([TextSet, Type.Null()]),
      authorizedIpSet: Type.Union([TextSet, Type.Null()]),
      expireDate: Type.Union([Type.String(), Type.Null()]),
      permits: Type.Union([Type.Integer(), Type.Null()]),
      type: Type.String(),
    }),
  )
