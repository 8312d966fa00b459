import type { Readable } from 'node:stream'
import { type Digest, digestHex } from '../../core/digest.ts'
import { NotOurProtocol, RemoteRefusal } from '../transport/failures.ts'
import { createHttpClient, type HttpAnswer, type HttpCall, type HttpTarget } from '../transport/http-client.ts'
import {
  type ApplyAnswer,
  type ApplyRequest,
  type CompareAnswer,
  type CompareRequest,
  type HelloAnswer,
  type OpenAnswer,
  type OpenRequest,
  type PackAnswer,
  SYNC_PROTOCOL,
  type UploadAnswer,
  type UploadRequest,
} from './messages.ts'
import { PACK_HEADER_BYTES, packHeader } from './pack.ts'

export interface PackItem {
  readonly digest: Digest
  readonly bytes: Buffer
}

/**
 * Another cluster, as this one speaks to it (docs/design/sync-protocol.md). All calls may be repeated: what arrived twice
 * counts once. @throws LinkDown, NotOurProtocol, RemoteRefusal.
 */
export interface ClusterClient extends Disposable {
  hello(signal: AbortSignal): Promise<HelloAnswer>
  open(linkKey: string, request: OpenRequest, signal: AbortSignal): Promise<OpenAnswer>
  compare(linkKey: string, request: CompareRequest, signal: AbortSignal): Promise<CompareAnswer>
  apply(linkKey: string, request: ApplyRequest, signal: AbortSignal): Promise<ApplyAnswer>
  /** Many small blobs in one request. */
  putPack(items: readonly PackItem[], signal: AbortSignal): Promise<PackAnswer>
  /** One blob in one request. */
  putBlob(digest: Digest, sizeBytes: number, body: Readable, signal: AbortSignal): Promise<void>
  openUpload(request: UploadRequest, signal: AbortSignal): Promise<UploadAnswer>
  putPart(uploadId: string, part: number, sizeBytes: number, body: Readable, signal: AbortSignal): Promise<void>
  completeUpload(uploadId: string, signal: AbortSignal): Promise<void>
}

const CONNECTIONS = 16
const IDLE_MS = 30_000
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const BYTES = { 'content-type': 'application/octet-stream' }

export function createClusterClient(target: HttpTarget): ClusterClient {
  // A stored address may end in `/replication`, as the older API had it (replication.md 8).
  const url = target.url.replace(/\/+$/, '').replace(/\/replication$/, '')
  const http = createHttpClient(
    { ...target, url },
    { connections: CONNECTIONS, idleMs: IDLE_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
  )

  async function call<T>(method: HttpCall['method'], path: string, json: unknown, signal: AbortSignal): Promise<T> {
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    return unwrap(await http.send({ method, path: `/sync/v1${path}`, headers, body }, signal), url)
  }
  async function sendBytes<T>(
    path: string,
    body: Buffer | Readable,
    bodyBytes: number,
    signal: AbortSignal,
  ): Promise<T> {
    const headers = BYTES
    return unwrap(await http.send({ method: 'PUT', path: `/sync/v1${path}`, headers, body, bodyBytes }, signal), url)
  }

  return {
    async hello(signal) {
      const answer = await call<HelloAnswer>('GET', '/hello', undefined, signal)
      if (!Array.isArray(answer?.protocols)) throw new NotOurProtocol(`${url} does not speak the sync protocol`)
      if (!answer.protocols.includes(SYNC_PROTOCOL)) {
        throw new NotOurProtocol(`${url} speaks sync protocol ${answer.protocols.join(', ')}, not ${SYNC_PROTOCOL}`)
      }
      return answer
    },
    open: (linkKey, request, signal) => call('POST', `/links/${linkKey}/open`, request, signal),
    compare: (linkKey, request, signal) => call('POST', `/links/${linkKey}/compare`, request, signal),
    apply: (linkKey, request, signal) => call('POST', `/links/${linkKey}/apply`, request, signal),
    putPack(items, signal) {
      const body = Buffer.concat(items.flatMap(({ digest, bytes }) => [packHeader(digest, bytes.length), bytes]))
      return sendBytes('/blobs/pack', body, body.length, signal)
    },
    putBlob: (digest, sizeBytes, body, signal) => sendBytes(`/blobs/${digestHex(digest)}`, body, sizeBytes, signal),
    openUpload: (request, signal) => call('POST', '/uploads', request, signal),
    putPart: (uploadId, part, sizeBytes, body, signal) =>
      sendBytes(`/uploads/${uploadId}/parts/${part}`, body, sizeBytes, signal),
    completeUpload: (uploadId, signal) => call('POST', `/uploads/${uploadId}/complete`, {}, signal),
    [Symbol.dispose]: () => http[Symbol.dispose](),
  }
}

/** Bytes that a blob takes in a pack. */
export const packedBytes = (sizeBytes: number): number => PACK_HEADER_BYTES + sizeBytes

function unwrap<T>(answer: HttpAnswer, url: string): T {
  const envelope = parseEnvelope(answer.body)
  if (envelope === undefined) {
    if (answer.status >= 500 || answer.status === 429) {
      throw new RemoteRefusal(`${url} answered HTTP ${answer.status}`, answer.status, undefined)
    }
    throw new NotOurProtocol(`${url} answered HTTP ${answer.status} with something that is not an Entrepot answer`)
  }
  if (envelope.code !== 0) {
    throw new RemoteRefusal(`${envelope.message ?? 'refused'} (${envelope.code})`, answer.status, envelope.code)
  }
  return envelope.data as T
}

function parseEnvelope(body: Buffer): { code: number; message: string | null; data: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value !== 'object' || value === null || !('code' in value) || typeof value.code !== 'number')
      return undefined
    return value as { code: number; message: string | null; data: unknown }
  } catch {
    return undefined
  }
}
