import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Authentication } from '../../auth/authentication.ts'
import { parseAuthorization } from '../../auth/authorization-header.ts'
import type { BearerTokens } from '../../auth/bearer-tokens.ts'
import { isAnonymous, type Principal } from '../../auth/principal.ts'
import type { RefreshTokens } from '../../auth/refresh-tokens.ts'
import type { Rights } from '../../auth/rights.ts'
import { looksLikeToken } from '../../auth/tokens.ts'
import { AppError, invalid, missing } from '../../core/errors.ts'
import { sourceOf } from '../access-control.ts'
import type { App } from '../route.ts'
import { TOKEN_URL } from './challenge.ts'
import { grantedScopes, scopeText } from './granted-scopes.ts'
import { parseScopes } from './scope-words.ts'

export interface TokenRouteDeps {
  readonly authenticate: Authentication['authenticate']
  readonly bearerTokens: Pick<BearerTokens, 'issue'>
  readonly refreshTokens: RefreshTokens
  readonly rights: Pick<Rights, 'repositoryFacts'>
  /** Where clients reach this server; undefined: where the request came to. */
  readonly publicUrl: string | undefined
  /** A user's rights count at each request: the token's age limits how long a stolen one is of use. */
  readonly tokenSeconds: number
}

const MAX_FORM_BYTES = 64 * 1024
const tags = ['images']
const Answer = Type.Object({
  token: Type.String(),
  access_token: Type.String({ description: 'The same' }),
  scope: Type.String({ description: 'What of the scopes was granted' }),
  expires_in: Type.Integer({ description: 'Seconds' }),
  issued_at: Type.String({ description: 'RFC 3339, UTC' }),
  refresh_token: Type.Optional(Type.String({ description: 'When asked for: stands for the login for 30 days' })),
})
const config = { access: 'OPTIONAL_LOGIN' } as const

/**
 * The token endpoint. Source: docker's token authentication specification (GET) and its OAuth2 form (POST), which containerd and
 * buildx prefer.
 */
export async function mountTokens(app: App, deps: TokenRouteDeps): Promise<void> {
  const { authenticate, bearerTokens, refreshTokens, rights, tokenSeconds } = deps

  async function answer(reply: FastifyReply, principal: Principal, asked: readonly string[], refresh?: string) {
    const scopes = await grantedScopes(parseScopes(asked), principal, rights)
    const { userId } = principal
    const { token, issuedAt, expiresInS } = await bearerTokens.issue({ userId, scopes, expiresInS: tokenSeconds })
    reply.header('cache-control', 'no-store')
    return {
      ...{ token, access_token: token, scope: scopeText(scopes), expires_in: expiresInS },
      issued_at: new Date(issuedAt).toISOString(),
      ...(refresh === undefined ? {} : { refresh_token: refresh }),
    }
  }

  app.get(
    TOKEN_URL,
    {
      schema: {
        tags,
        summary: 'A token for images, by Basic login or for what is public',
        querystring: Type.Object({
          service: Type.Optional(Type.String()),
          scope: Type.Optional(
            Type.Union([Type.String(), Type.Array(Type.String())], {
              description:
                'repository:{project}/{repo}/{image}:pull,push,delete or registry:catalog:*; several times, or several by spaces',
            }),
          ),
          account: Type.Optional(Type.String()),
          client_id: Type.Optional(Type.String()),
          offline_token: Type.Optional(Type.String({ description: 'true: with a refresh token' })),
        }),
        response: { 200: Answer },
      },
      config,
    },
    async (request, reply) => {
      const { scope, offline_token: offline } = request.query
      const { principal } = request
      const refresh = isTrue(offline) ? await refreshFor(principal, passwordIn(request)) : undefined
      return answer(reply, principal, listed(scope), refresh)
    },
  )

  /** Only for a password: a user's token is kept by its holder as it is, and may end earlier. */
  async function refreshFor(principal: Principal, password: string | undefined): Promise<string | undefined> {
    if (isAnonymous(principal) || password === undefined || looksLikeToken(password)) return undefined
    return refreshTokens.issue(principal.userId)
  }

  await app.register(async (scope: App) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    )
    scope.post(
      TOKEN_URL,
      {
        schema: {
          tags,
          summary: 'A token for images, by password or refresh token (OAuth2)',
          consumes: ['application/x-www-form-urlencoded'],
          response: { 200: Answer },
        },
        config,
      },
      async (request, reply) => {
        if (!(request.body instanceof URLSearchParams)) throw invalid('body', 'it must be a form')
        const form = request.body
        const field = (name: string) => form.get(name) ?? missingField(name)
        const asked = form.getAll('scope')
        switch (field('grant_type')) {
          case 'password': {
            const [userId, password] = [field('username'), field('password')]
            const basic = `Basic ${Buffer.from(`${userId}:${password}`).toString('base64')}`
            const principal = await authenticate(basic, sourceOf(request))
            const refresh = form.get('access_type') === 'offline' ? await refreshFor(principal, password) : undefined
            return answer(reply, principal, asked, refresh)
          }
          case 'refresh_token': {
            const token = field('refresh_token')
            const principal = await refreshTokens.verify(token)
            if (principal === undefined) {
              throw new AppError(
                'UNAUTHENTICATED',
                'Failed to authenticate: the refresh token is no longer good, log in again',
              )
            }
            return answer(reply, principal, asked, token)
          }
          default:
            throw invalid('grant_type', 'password or refresh_token')
        }
      },
    )
  })
}

function missingField(name: string): never {
  throw missing(name)
}
const isTrue = (text: string | undefined): boolean => text?.toLowerCase() === 'true' || text === '1'
const listed = (scope: string | readonly string[] | undefined): readonly string[] => [scope ?? []].flat()

function passwordIn({ headers }: FastifyRequest): string | undefined {
  const credentials = parseAuthorization(headers.authorization)
  return credentials?.scheme === 'basic' ? credentials.secret : undefined
}
