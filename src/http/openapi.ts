import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { App } from './route.ts'

export interface ApiDocument {
  readonly version: string
  /** Where clients reach this server; undefined: where the document was fetched from. */
  readonly publicUrl: string | undefined
}

const TITLE = 'Entrepot'

/**
 * `/openapi.json` (OpenAPI 3.1) and a page to browse it at `/docs`, both from the schemas of the routes. Must be there before the
 * routes are. The page needs nothing from outside.
 */
export async function documentApi(app: App, { version, publicUrl }: ApiDocument): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: TITLE,
        version,
        description: 'Answers are envelopes: code 0 is success. See docs/errors.md for the others.',
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
      const access = route.config?.access
      const open = access === 'PUBLIC'
      const described = { ...schema, tags: schema?.tags ?? [serviceOf(url)] }
      if (!open) described.security = [{ basic: [] }, { token: [] }]
      const params = namedRest(schema?.params, url)
      const documented = { ...described, ...params, description: schema?.description ?? accessText(access) }
      return { schema: documented, url: url.replace(/\*$/, ':fullPath') }
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
  return typeof access === 'object' && access !== null && 'repo' in access
    ? `Needs ${String(access.repo)} on the repository.`
    : `Access: ${String(access)}.`
}
