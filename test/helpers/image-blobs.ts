import { createHash } from 'node:crypto'
import { type ClientRequest, request } from 'node:http'
import type { Api } from './api.ts'
import { type LocalCluster, startCluster, type TestDialect } from './local-cluster.ts'

export const nameOf = (bytes: Uint8Array | string, algorithm: 'sha256' | 'sha512' = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`

/** What of an answer the tests look at. */
export interface Answer {
  readonly status: number
  readonly location: string
  readonly range: string | null
  readonly headers: Headers
  readonly body: Buffer
  /** Code of the first error. */
  readonly error: string | undefined
}

/** Calls about the blobs of one image, as any client makes them. */
export interface BlobCalls {
  send(method: string, path: string, body?: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** `Location` of a fresh upload. */
  begin(): Promise<string>
  /** POST, then PUT with all bytes. */
  push(bytes: Uint8Array, name?: string): Promise<Answer>
  /** A request whose body the test sends, and cuts. */
  begun(method: string, path: string): ClientRequest
}

export function blobCalls({ url, authorization }: Pick<Api, 'url' | 'authorization'>, image: string): BlobCalls {
  const uploads = `/v2/${image}/blobs/uploads/`
  const calls: BlobCalls = {
    async send(method, path, body, headers = {}) {
      const target = path.startsWith('/v2/') ? path : `/v2/${image}/blobs/${path}`
      const init = { method, headers: { authorization, ...headers }, redirect: 'manual' } as const
      const answer = await fetch(`${url}${target}`, body === undefined ? init : { ...init, body: new Uint8Array(body) })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const isError = answer.status >= 400 && bytes.length > 0
      return {
        status: answer.status,
        location: answer.headers.get('location') ?? '',
        range: answer.headers.get('range'),
        headers: answer.headers,
        body: bytes,
        error: isError ? JSON.parse(bytes.toString()).errors[0].code : undefined,
      }
    },
    begin: async () => (await calls.send('POST', uploads)).location,
    async push(bytes, name = nameOf(bytes)) {
      return calls.send('PUT', `${await calls.begin()}?digest=${name}`, bytes)
    },
    begun(method, path) {
      const sent = request(`${url}${path}`, { method, headers: { authorization } })
      sent.on('error', () => {})
      return sent
    },
  }
  return calls
}

/** `project/repo` of the type DOCKER; the project is made when it is missing. */
export async function createImageRepository(api: Api, name: string, more: object = {}): Promise<void> {
  const signal = new AbortController().signal
  const [projectId, repo] = name.split('/')
  const project = { name: projectId, displayName: projectId, description: '' }
  await api.call('POST', '/repository/api/project/create', project, signal).catch(() => {})
  const body = { projectId, name: repo, type: 'DOCKER', category: 'LOCAL', public: false, description: null, ...more }
  await api.call('POST', '/repository/api/repo/create', body, signal)
}

export interface BlobRegistry extends AsyncDisposable {
  readonly cluster: LocalCluster
  /** Below `demo/images`. */
  image(name: string): BlobCalls
}

export async function startBlobRegistry(dialect: TestDialect): Promise<BlobRegistry> {
  const cluster = await startCluster({ name: 'alpha', dialect })
  await createImageRepository(cluster.api, 'demo/images')
  return {
    cluster,
    image: (name) => blobCalls(cluster.api, `demo/images/${name}`),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}
