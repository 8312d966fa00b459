import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { operationNames } from './operation-names.ts'
import type { App } from './route.ts'

export interface ApiDocument {
  readonly version: string
  /** Where clients reach this server; undefined: where the document was fetched from. */
  readonly publicUrl: string | undefined
}

const TITLE = 'Entrepot'
/** `aliases.ts` */
const PREFIXES =
  'Paths of services answer without the first part, too, as gateways leave them: /api/job/backup is /job/api/job/backup.'

/**
 * `/openapi.json` (OpenAPI 3.1) and a page to browse it at `/docs`, both from the schemas of the routes. Must be there before the
 * routes are. The page needs nothing from outside.
 */
export async function documentApi(app: App, { version, publicUrl }: ApiDocument): Promise<void> {
  const nameOf = operationNames()
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: TITLE,
        version,
        description: `Answers are envelopes: code 0 is success. See docs/errors.md for the others. ${PREFIXES}`,
      },
      servers: publicUrl === undefined ? [] : [{ url: publicUrl }],
      components: {
        securitySchemes: {
          basic: { type: 'http', scheme: 'basic', description: 'User id, and password or token' },
          token: { type: 'http', scheme: 'bearer', description: 'A token of a user' },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const { access, rawBody } = route.config ?? {}
      const method = String(route.method)
      const described = {
        ...schema,
        ...namedRest(schema?.params, url),
        ...(rawBody === true && BODY_METHODS.has(method) ? RAW_BODY : {}),
        operationId: schema?.operationId ?? nameOf(method, url),
        tags: schema?.tags ?? [serviceOf(url)],
        description: schema?.description ?? accessText(access),
        response: { ...((schema?.response as object | undefined) ?? RAW_ANSWER), default: FAILURE },
      }
      if (access !== 'PUBLIC') described.security = [{ basic: [] }, { token: [] }]
      return { schema: described, url: url.replace(/\*$/, ':fullPath') }
    },
  })
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'PUBLIC' }
    })
    scope.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      transformStaticCSP: ownAssetsOnly,
      theme: { title: TITLE },
      // The validator is a page of somebody else.
      uiConfig: { docExpansion: 'none', deepLinking: true, validatorUrl: null },
    })
  })
}

const BODY_METHODS: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH'])
const BYTES = { type: 'string', format: 'binary' } as const
const RAW_BODY = { consumes: ['application/octet-stream'], body: BYTES }
const RAW_ANSWER = { 200: { description: 'The bytes', content: { 'application/octet-stream': { schema: BYTES } } } }
const FAILURE = {
  description: 'Refused or failed; the codes are in docs/errors.md',
  type: 'object',
  required: ['code', 'message', 'data', 'traceId'],
  properties: {
    code: { type: 'integer', description: '250000 + 100 × module + number' },
    message: { type: 'string', description: 'What happened, to what, and what to do' },
    data: { type: 'null' },
    traceId: { type: 'string' },
  },
} as const

/** The router's `*`, the rest of a path, has a name in the document; where a URL has no such rest it is no parameter. */
function namedRest(params: unknown, url: string): { params?: object } {
  const {
    properties,
    required = [],
    ...rest
  } = (params ?? {}) as { properties?: Record<string, unknown>; required?: string[] }
  if (properties === undefined || !Object.hasOwn(properties, '*')) return {}
  const { '*': path, ...named } = properties
  const others = required.filter((name) => name !== '*')
  if (!url.endsWith('*')) return { params: { ...rest, properties: named, required: others } }
  return { params: { ...rest, properties: { ...named, fullPath: path }, required: [...others, 'fullPath'] } }
}

/** Takes out other hosts, and the upgrade to https, which would leave the page of a plain http server without its scripts. */
const ownAssetsOnly = (policy: string): string =>
  policy.replace(/ upgrade-insecure-requests;?| https:(?=[ ;])| validator\.swagger\.io/g, '')

const serviceOf = (url: string): string => url.split('/')[1] || 'other'

function accessText(access: unknown): string {
  const needs = (typeof access === 'object' ? access : null) as { repo?: string; project?: string } | null
  if (needs?.repo !== undefined) return `Needs ${needs.repo} on the repository, at the path that the URL names.`
  return needs?.project === undefined ? `Access: ${String(access)}.` : `Needs ${needs.project} on the project.`
}
