import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import type { Readable } from 'node:stream'
import { json as readJson, text as readText } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

/** Bytes of a known length: in memory when small, else opened when they are sent. */
export type Content = Buffer | { readonly sizeBytes: number; open(): Readable }

export interface Envelope<T> {
  readonly code: number
  readonly message: string | null
  readonly data: T
  readonly traceId: string | null
}

/** A node as `node/detail`, `node/page` and an upload answer it; the fields that we read. */
export interface NodeRecord {
  readonly fullPath: string
  readonly folder: boolean
  readonly size: number
  readonly sha256: string | null
  readonly metadata?: Readonly<Record<string, unknown>> | null
  readonly nodeMetadata?: readonly { readonly key: string; readonly value: unknown; readonly system?: boolean }[] | null
}

/** A refusal by the server. `code` is the contract's, e.g. 251010; 0 when the answer was no envelope. */
export class ApiError extends Error {
  readonly status: number
  readonly code: number
  constructor(call: string, status: number, code: number, message: string) {
    super(`${call} answered ${status}${code === 0 ? '' : ` / ${code}`}: ${message}`)
    this.name = 'ApiError'
    this.status = status
    this.code = code
  }
}

/** The public HTTP API of one server, seen from outside. */
export interface Api extends Disposable {
  readonly url: string
  /** The header that its calls carry. */
  readonly authorization: string
  /** `data` of the envelope. @throws ApiError. */
  call<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T>
  /** `repository`: `project/repo`; `path`: `/a/b`, not encoded. */
  upload(
    repository: string,
    path: string,
    content: Content,
    headers: OutgoingHttpHeaders,
    signal: AbortSignal,
  ): Promise<NodeRecord>
  /** The caller consumes or destroys the body. @throws ApiError. */
  download(repository: string, path: string, signal: AbortSignal): Promise<IncomingMessage>
  /** The Prometheus text of `/metrics`. */
  metrics(signal: AbortSignal): Promise<string>
}

export interface ApiOptions {
  readonly url: string
  readonly user: string
  readonly password: string
  /** Open connections at most; default 16. */
  readonly connections?: number
}

export function connectApi({ url, user, password, connections = 16 }: ApiOptions): Api {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

  const send = async (
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    content: Content | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> => {
    const length = content === undefined ? {} : { 'content-length': sizeOf(content) }
    const outgoing = request(`${url}${path}`, {
      method,
      agent,
      signal,
      headers: { authorization, ...length, ...headers },
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve)
      outgoing.on('error', reject)
    })
    if (content === undefined || Buffer.isBuffer(content)) outgoing.end(content)
    else {
      // A refusal may come before the body was sent: then the answer counts, not the cut pipe.
      const sent = pipeline(content.open(), outgoing)
      await Promise.race([answered, sent.catch(() => answered)])
    }
    return await answered
  }

  const dataOf = async <T>(call: string, answer: IncomingMessage): Promise<T> => {
    const status = answer.statusCode ?? 0
    if (!(answer.headers['content-type'] ?? '').includes('json')) {
      throw new ApiError(call, status, 0, (await readText(answer)).slice(0, 300))
    }
    const envelope = (await readJson(answer)) as Envelope<T>
    if (status >= 300 || envelope.code !== 0) throw new ApiError(call, status, envelope.code, envelope.message ?? '')
    return envelope.data
  }

  return {
    url,
    authorization,
    async call(method, path, body, signal) {
      const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
      const headers = content === undefined ? {} : { 'content-type': 'application/json' }
      return dataOf(`${method} ${path}`, await send(method, path, headers, content, signal))
    },
    async upload(repository, path, content, headers, signal) {
      const target = `/generic/${repository}${encodePath(path)}`
      return dataOf(`PUT ${target}`, await send('PUT', target, headers, content, signal))
    },
    async download(repository, path, signal) {
      const target = `/generic/${repository}${encodePath(path)}`
      const answer = await send('GET', target, {}, undefined, signal)
      if (answer.statusCode !== 200) return dataOf(`GET ${target}`, answer)
      return answer
    },
    async metrics(signal) {
      return readText(await send('GET', '/metrics', {}, undefined, signal))
    },
    [Symbol.dispose]: () => agent.destroy(),
  }
}

/** `/a b/ü#` → `/a%20b/%C3%BC%23`. */
export const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

const sizeOf = (content: Content): number => (Buffer.isBuffer(content) ? content.length : content.sizeBytes)

/** The value of `X-BKREPO-META`: base64 of `k1=v1&k2=v2`, both sides percent-encoded; keys keep their case. */
export function metaHeader(metadata: Readonly<Record<string, string>>): OutgoingHttpHeaders {
  const pairs = Object.entries(metadata).map(
    ([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`,
  )
  return pairs.length === 0 ? {} : { 'x-bkrepo-meta': Buffer.from(pairs.join('&')).toString('base64') }
}
