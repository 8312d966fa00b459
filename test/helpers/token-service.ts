import { sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TEST_CERTIFICATE, TEST_KEY } from './tls-proxy.ts'

export interface TokenService extends AsyncDisposable {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** PEM that its tokens are verified with. */
  readonly certificate: string
  /** Queries of the tokens that it gave. */
  readonly given: URLSearchParams[]
}

/** The token service beside a registry (distribution token specification): one user, who may do everything. */
export async function tokenService(user: string, password: string): Promise<TokenService> {
  const [service, issuer] = ['test-registry', 'test-issuer']
  const given: URLSearchParams[] = []
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const der = TEST_CERTIFICATE.replace(/-----[A-Z ]+-----|\s/g, '')

  function tokenFor(query: URLSearchParams): string {
    const now = Math.floor(Date.now() / 1_000)
    const access = query.getAll('scope').flatMap((scope) => {
      const [type = '', name = '', actions = ''] = scope.split(':')
      return type === '' ? [] : [{ type, name, actions: actions.split(',') }]
    })
    const claims = {
      iss: issuer,
      sub: user,
      aud: service,
      exp: now + 300,
      nbf: now - 5,
      iat: now,
      jti: `${now}`,
      access,
    }
    const encoded = [{ typ: 'JWT', alg: 'ES256', x5c: [der] }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    const signature = sign('sha256', Buffer.from(encoded.join('.')), { key: TEST_KEY, dsaEncoding: 'ieee-p1363' })
    return [...encoded, signature.toString('base64url')].join('.')
  }

  const server = createServer((request, response) => {
    if (request.headers.authorization !== basic) return void response.writeHead(401).end('{"details":"wrong login"}')
    const { searchParams } = new URL(request.url ?? '', 'http://localhost')
    given.push(searchParams)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ access_token: tokenFor(searchParams), expires_in: 300 }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    ...{ service, issuer, given, certificate: TEST_CERTIFICATE },
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
