import type { RegistryRequest } from './registry-connection.ts'

export interface Login {
  readonly username: string
  readonly password: string
}
/** What a token is asked for. */
export interface TokenWish {
  readonly realm: URL
  /** Empty: the registry named none. */
  readonly service: string
  readonly scopes: readonly string[]
}
export interface TokenRequest {
  readonly url: URL
  readonly request: RegistryRequest
}

const CLIENT_ID = 'entrepot'
/** The user name that says: the password is an identity token. */
export const IDENTITY_TOKEN_USER = '<token>'

export const basicOf = ({ username, password }: Login): string =>
  Buffer.from(`${username}:${password}`).toString('base64')

/** As the distribution token specification has it. */
export function getToken({ realm, service, scopes }: TokenWish, login: Login | undefined): TokenRequest {
  const url = new URL(realm)
  if (service !== '') url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (login !== undefined) url.searchParams.set('account', login.username)
  const headers: Record<string, string> = login === undefined ? {} : { authorization: `Basic ${basicOf(login)}` }
  return { url, request: { method: 'GET', headers } }
}

/** As its OAuth 2 has it. */
export function postForToken({ realm, service, scopes }: TokenWish, { username, password }: Login): TokenRequest {
  const form = new URLSearchParams({ client_id: CLIENT_ID, service, scope: scopes.join(' ') })
  const grant =
    username === IDENTITY_TOKEN_USER
      ? { grant_type: 'refresh_token', refresh_token: password }
      : { grant_type: 'password', username, password }
  for (const [key, value] of Object.entries(grant)) form.set(key, value)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return { url: realm, request: { method: 'POST', headers, body: Buffer.from(form.toString()) } }
}
