import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../src/core/clock.ts'

/** How a registry differs from one that does all that the distribution specification says, without a login. */
export interface RegistryTraits {
  readonly clock?: Pick<Clock, 'now'>
  readonly user?: string
  readonly password?: string
  readonly auth?: 'none' | 'basic' | 'bearer'
  /** Of its token service; `oauth` knows POST only. */
  readonly tokens?: {
    readonly field?: 'token' | 'access_token'
    readonly lifeSeconds?: number
    readonly protocol?: 'distribution' | 'oauth'
    /** Default: on the registry itself. */
    readonly realm?: string
  }
  readonly location?: 'absolute' | 'relative' | 'without port'
  /** `one`: a second PATCH of an upload is not known; `none`: uploads are ended by a PUT with all bytes. */
  readonly patches?: 'many' | 'one' | 'none'
  readonly leastPartBytes?: number
  readonly mounts?: 'done' | 'ignored'
  readonly referrers?: 'listed' | 'unknown'
  /** Of a page of tags. */
  readonly pageEntries?: number
}

/** Answered in place of what the registry would; `cutAfter`: the connection breaks when so many bytes of the body have come, which are kept. */
export type OddAnswer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Buffer }
  | { readonly cutAfter: number }
  /** Of the answer's body; the connection breaks then. */
  | { readonly cutAnswerAfter: number }
/** @param nth 1 for the first of this method and path, without query. */
export type OddScript = (request: IncomingMessage, nth: number) => OddAnswer | undefined

export interface ScriptedRegistry extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What came, in order: `PUT /v2/team/nginx/manifests/1.1`, without the query. */
  readonly asked: string[]
  readonly requests: IncomingMessage[]
  /** Repository and digest, as `team/nginx@sha256:…`. */
  readonly blobs: Map<string, Buffer>
  /** Repository and reference: `team/nginx:1.1`, `team/nginx@sha256:…`. */
  readonly manifests: Map<string, { readonly bytes: Buffer; readonly type: string }>
  /** Bytes of blobs that came. */
  uploadedBytes(): number
  script(odd: OddScript): void
}

const nameOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export async function scriptedRegistry(traits: RegistryTraits = {}): Promise<ScriptedRegistry> {
  const { clock = { now: () => 0 }, user = 'pusher', password = 'p:ss/w+rd', auth = 'none', tokens = {} } = traits
  const blobs = new Map<string, Buffer>()
  const manifests = new Map<string, { bytes: Buffer; type: string }>()
  const uploads = new Map<string, { bytes: Buffer; patches: number }>()
  const granted = new Map<string, { untilMs: number; scopes: string[] }>()
  const times = new Map<string, number>()
  const asked: string[] = []
  const requests: IncomingMessage[] = []
  let uploaded = 0
  let counter = 0
  let odd: OddScript = () => undefined
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

  const json = (response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  const refuse = (response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}) =>
    json(response, status, { errors: [{ code, message: `this is ${code}` }] }, headers)

  /** Takes all of a body, or as much as came before the connection broke. */
  async function bodyOf(request: IncomingMessage, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        chunks.push(chunk)
        size += chunk.length
        if (size >= limit) break
      }
    } catch {}
    return Buffer.concat(chunks).subarray(0, limit)
  }

  function mayPass(request: IncomingMessage, response: ServerResponse, scope: string): boolean {
    if (auth === 'none') return true
    const { authorization = '' } = request.headers
    if (auth === 'basic') {
      if (authorization === basic) return true
      refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="it"' })
      return false
    }
    const token = granted.get(authorization.replace(/^Bearer /, ''))
    const [kind, name, actions = ''] = scope.split(':')
    const covers = actions
      .split(',')
      .every((action) => token?.scopes.some((held) => held.startsWith(`${kind}:${name}:`) && held.includes(action)))
    if (token !== undefined && clock.now() < token.untilMs && (scope === '' || covers)) return true
    const realm = tokens.realm ?? `${registry.url}/token`
    const why =
      token === undefined ? '' : clock.now() < token.untilMs ? ',error="insufficient_scope"' : ',error="invalid_token"'
    const challenge = `Bearer realm="${realm}",service="it"${scope === '' ? '' : `,scope="${scope}"`}${why}`
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge })
    return false
  }

  async function grant(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const form = new URLSearchParams((await bodyOf(request)).toString())
    const oauth = tokens.protocol === 'oauth'
    if (oauth !== (request.method === 'POST')) return void refuse(response, 405, 'UNSUPPORTED')
    const known = oauth
      ? form.get('username') === user && form.get('password') === password
      : request.headers.authorization === basic
    if (!known) return void refuse(response, 401, 'UNAUTHORIZED')
    const scopes = oauth ? (form.get('scope') ?? '').split(' ') : url.searchParams.getAll('scope')
    const token = `token-${++counter}-of-the-service`
    granted.set(token, { untilMs: clock.now() + (tokens.lifeSeconds ?? 60) * 1_000, scopes })
    json(response, 200, { [tokens.field ?? 'token']: token, expires_in: tokens.lifeSeconds })
  }

  const locationOf = (path: string) => {
    if (traits.location === 'relative') return path
    return `http://127.0.0.1${traits.location === 'without port' ? '' : `:${registry.port}`}${path}`
  }
  const rangeOf = (size: number) => `0-${Math.max(0, size - 1)}`

  function upload(repository: string, response: ServerResponse): void {
    const id = `u${++counter}`
    uploads.set(id, { bytes: Buffer.alloc(0), patches: 0 })
    const least = traits.leastPartBytes === undefined ? {} : { 'oci-chunk-min-length': String(traits.leastPartBytes) }
    const location = locationOf(`/v2/${repository}/blobs/uploads/${id}?_state=a%2Fb%3D%3D`)
    response.writeHead(202, { location, range: '0-0', ...least }).end()
  }

  async function onUpload(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    repository: string,
    id: string,
  ) {
    const session = uploads.get(id)
    const state = url.search.startsWith('?_state=a%2Fb%3D%3D')
    if (session === undefined || !state) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN')
    const location = locationOf(`${url.pathname}?_state=a%2Fb%3D%3D`)
    if (request.method === 'GET')
      return response.writeHead(204, { location, range: rangeOf(session.bytes.length) }).end()
    if (request.method === 'DELETE') {
      uploads.delete(id)
      return response.writeHead(204).end()
    }
    const start = /^(\d+)-/.exec(String(request.headers['content-range'] ?? ''))?.[1]
    if (start !== undefined && Number(start) !== session.bytes.length) {
      return response.writeHead(416, { location, range: rangeOf(session.bytes.length) }).end()
    }
    const isPatch = request.method === 'PATCH'
    if (isPatch && traits.patches === 'none') return refuse(response, 405, 'UNSUPPORTED')
    if (isPatch && ++session.patches > 1 && traits.patches === 'one')
      return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN')
    const bytes = await bodyOf(request)
    uploaded += bytes.length
    session.bytes = Buffer.concat([session.bytes, bytes])
    if (isPatch) return response.writeHead(202, { location, range: rangeOf(session.bytes.length) }).end()
    const digest = url.searchParams.get('digest') ?? ''
    if (nameOf(session.bytes) !== digest) return refuse(response, 400, 'DIGEST_INVALID')
    blobs.set(`${repository}@${digest}`, session.bytes)
    uploads.delete(id)
    return response
      .writeHead(201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest })
      .end()
  }

  function onBlob(request: IncomingMessage, response: ServerResponse, found: Buffer | undefined, cut?: number) {
    if (found === undefined) return refuse(response, 404, 'BLOB_UNKNOWN')
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const range = start === 0 ? {} : { 'content-range': `bytes ${start}-${found.length - 1}/${found.length}` }
    const bytes = found.subarray(start)
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': String(bytes.length), ...range })
    if (request.method === 'HEAD') return response.end()
    if (cut === undefined) return response.end(bytes)
    return response.write(bytes.subarray(0, cut), () => response.socket?.resetAndDestroy())
  }

  async function onManifest(request: IncomingMessage, response: ServerResponse, repository: string, reference: string) {
    const keyOf = (text: string) => `${repository}${text.startsWith('sha256:') ? '@' : ':'}${text}`
    if (request.method === 'PUT') {
      const bytes = await bodyOf(request)
      const kept = { bytes, type: String(request.headers['content-type']) }
      manifests.set(keyOf(reference), kept)
      manifests.set(keyOf(nameOf(bytes)), kept)
      const { subject } = JSON.parse(bytes.toString()) as { subject?: { digest: string } }
      const listed = subject === undefined || traits.referrers === 'unknown' ? {} : { 'oci-subject': subject.digest }
      return response.writeHead(201, { 'docker-content-digest': nameOf(bytes), ...listed }).end()
    }
    const found = manifests.get(keyOf(reference))
    if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN')
    if (request.method === 'DELETE') {
      manifests.delete(keyOf(reference))
      return response.writeHead(202).end()
    }
    const headers = {
      'content-type': found.type,
      'docker-content-digest': nameOf(found.bytes),
      'content-length': String(found.bytes.length),
    }
    return response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : found.bytes)
  }

  function onTags(response: ServerResponse, repository: string, query: URLSearchParams) {
    const all = [...manifests.keys()]
      .filter((key) => key.startsWith(`${repository}:`))
      .map((key) => key.slice(repository.length + 1))
    if (all.length === 0) return refuse(response, 404, 'NAME_UNKNOWN')
    const rest = all.sort().filter((tag) => tag > (query.get('last') ?? ''))
    const page = rest.slice(0, traits.pageEntries ?? Number(query.get('n')))
    const next = `/v2/${repository}/tags/list?last=${page.at(-1)}&n=${page.length}`
    return json(
      response,
      200,
      { name: repository, tags: page },
      page.length < rest.length ? { link: `<${next}>; rel="next"` } : {},
    )
  }

  function onReferrers(response: ServerResponse, repository: string, subject: string) {
    if (traits.referrers === 'unknown') return refuse(response, 404, 'UNSUPPORTED')
    const about = [...manifests].filter(([key, { bytes }]) => {
      return (
        key.startsWith(`${repository}@`) &&
        (JSON.parse(bytes.toString()) as { subject?: { digest: string } }).subject?.digest === subject
      )
    })
    const entries = about.map(([key, { bytes, type }]) => {
      const { artifactType } = JSON.parse(bytes.toString()) as { artifactType?: string }
      return { mediaType: type, digest: key.slice(repository.length + 1), size: bytes.length, artifactType }
    })
    return json(response, 200, { schemaVersion: 2, manifests: entries })
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const { method = '' } = request
    const url = new URL(request.url ?? '', registry.url)
    const key = `${method} ${url.pathname}`
    const nth = (times.get(key) ?? 0) + 1
    times.set(key, nth)
    asked.push(key)
    requests.push(request)
    const strange = odd(request, nth)
    if (strange !== undefined && 'status' in strange) {
      request.resume()
      return response.writeHead(strange.status, strange.headers).end(strange.body)
    }
    if (url.pathname === '/token') return grant(request, response, url)
    const [, repository = '', kind = '', rest = ''] =
      /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests|tags|referrers)\/(.*)$/.exec(url.pathname) ?? []
    const reads = method === 'GET' || method === 'HEAD'
    if (!mayPass(request, response, repository === '' ? '' : `repository:${repository}:${reads ? 'pull' : 'push'}`))
      return
    if (url.pathname === '/v2/') return json(response, 200, {})
    if (strange !== undefined && 'cutAfter' in strange) {
      const { socket } = request
      const bytes = await bodyOf(request, strange.cutAfter)
      uploaded += bytes.length
      const session = uploads.get(rest)
      if (session !== undefined) session.bytes = Buffer.concat([session.bytes, bytes])
      return socket.resetAndDestroy()
    }
    if (kind === 'blobs/uploads' && rest === '') {
      const mounted = blobs.get(`${url.searchParams.get('from')}@${url.searchParams.get('mount')}`)
      if (mounted === undefined || traits.mounts === 'ignored') return upload(repository, response)
      blobs.set(`${repository}@${url.searchParams.get('mount')}`, mounted)
      return response.writeHead(201).end()
    }
    if (kind === 'blobs/uploads') return onUpload(request, response, url, repository, rest)
    if (kind === 'blobs') return onBlob(request, response, blobs.get(`${repository}@${rest}`), strange?.cutAnswerAfter)
    if (kind === 'manifests') return onManifest(request, response, repository, rest)
    if (kind === 'tags') return onTags(response, repository, url.searchParams)
    if (kind === 'referrers') return onReferrers(response, repository, rest)
    return refuse(response, 404, 'NAME_UNKNOWN')
  }

  const server = createServer((request, response) => {
    request.on('error', () => {})
    void answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const registry: ScriptedRegistry = {
    ...{ url: `http://127.0.0.1:${port}`, port, asked, requests, blobs, manifests },
    uploadedBytes: () => uploaded,
    script: (script) => {
      odd = script
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return registry
}
