import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { type Digest, digestBytes, digestHex } from '../../core/digest.ts'
import { NotOurProtocol, RemoteRefusal } from '../transport/failures.ts'
import {
  asFailure,
  collect,
  createHttpClient,
  type HttpAnswer,
  type HttpCall,
  type HttpTarget,
} from '../transport/http-client.ts'
import type { FrameStream, StreamProgress } from './frame-stream.ts'
import type { StreamBegin } from './frames/frame.ts'
import { FRAMES_MEDIA_TYPE } from './frames/frame-limits.ts'
import {
  type HelloAnswer,
  type OpenAnswer,
  type OpenRequest,
  SYNC_PROTOCOL,
  type UploadAnswer,
  type UploadRequest,
} from './messages.ts'
import { createFrameStream, type StreamTransport, type StreamWay } from './stream/frame-stream-client.ts'
import { createLineRate } from './stream/line-rate.ts'
import { measure, packedBody } from './stream/packed-body.ts'

/**
 * Another cluster, as this one speaks to it (docs/design/sync-protocol.md). All calls may be repeated: what arrived twice
 * counts once. @throws LinkDown, NotOurProtocol, RemoteRefusal.
 */
export interface ClusterClient extends Disposable {
  hello(signal: AbortSignal): Promise<HelloAnswer>
  open(linkKey: string, request: OpenRequest, signal: AbortSignal): Promise<OpenAnswer>
  /** Those of the digests (at most 10,000) whose bytes the target lacks; it keeps the others for the grace time of its collection. */
  missing(digests: readonly Digest[], signal: AbortSignal): Promise<Set<Digest>>
  /** Begins a stream. The signal ends it. */
  openStream(linkKey: string, begin: StreamBegin, progress: StreamProgress, signal: AbortSignal): FrameStream
  /** One round of reconciliation: a message and its answer (replication/recon). */
  reconcile(project: string, repo: string, message: Buffer, signal: AbortSignal): Promise<Buffer>
  /** One blob in one request. */
  putBlob(digest: Digest, sizeBytes: number, body: Readable, signal: AbortSignal): Promise<void>
  openUpload(request: UploadRequest, signal: AbortSignal): Promise<UploadAnswer>
  putPart(uploadId: string, part: number, sizeBytes: number, body: Readable, signal: AbortSignal): Promise<void>
  completeUpload(uploadId: string, signal: AbortSignal): Promise<void>
}

const CONNECTIONS = 16
const IDLE_MS = 30_000
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** Of one blob or part: below, packing saves less than a round trip. */
const PACKED_FROM_BYTES = 64 * 1024
const BYTES = { 'content-type': 'application/octet-stream' }
const FRAMES = { 'content-type': FRAMES_MEDIA_TYPE }

export function createClusterClient(target: HttpTarget, clock: Clock): ClusterClient {
  // A stored address may end in `/replication`, as the older API had it (replication.md 8).
  const url = target.url.replace(/\/+$/, '').replace(/\/replication$/, '')
  const http = createHttpClient(
    { ...target, url },
    { connections: CONNECTIONS, idleMs: IDLE_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
  )

  let known: HelloAnswer | undefined
  const way: StreamWay = {
    duplex: 'unknown',
    line: createLineRate(),
    takesBundles: () => known?.features?.zstd === true,
  }

  async function call<T>(method: HttpCall['method'], path: string, json: unknown, signal: AbortSignal): Promise<T> {
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    return unwrap(await http.send({ method, path: `/sync/v1${path}`, headers, body }, signal), url)
  }
  /** Large bytes: packed where that is faster. */
  async function sendBody(path: string, source: Readable, sizeBytes: number, signal: AbortSignal): Promise<void> {
    const packs = way.line.isSlow && way.takesBundles() && sizeBytes >= PACKED_FROM_BYTES
    const { body, bodyBytes, headers } = packs
      ? await packedBody(source, sizeBytes)
      : { body: source, bodyBytes: sizeBytes, headers: {} }
    if (bodyBytes !== undefined) measure(body, way.line, clock)
    const call = { method: 'PUT', path: `/sync/v1${path}`, headers: { ...BYTES, ...headers }, body, bodyBytes } as const
    unwrap(await http.send(call, signal), url)
  }
  /** What the target says of itself holds for all that follows. */
  function understood(answer: HelloAnswer | undefined): HelloAnswer {
    if (!Array.isArray(answer?.protocols)) throw new NotOurProtocol(`${url} does not speak the sync protocol`)
    if (!answer.protocols.includes(SYNC_PROTOCOL)) {
      const theirs = answer.protocols.join(', ')
      throw new NotOurProtocol(
        `${url} speaks sync protocol ${theirs}, not ${SYNC_PROTOCOL}: run the same release on both`,
      )
    }
    known = answer
    if (answer.features?.duplex === false) way.duplex = 'buffered'
    return answer
  }
  const streamTo = (path: string): StreamTransport => ({
    request: (signal) => http.duplex({ path, headers: FRAMES }, signal),
    async accept(response) {
      if (isFrames(response)) return
      unwrap(await collect(response, MAX_ANSWER_BYTES), url)
      throw new NotOurProtocol(`${url} did not answer the stream with frames`)
    },
    failureOf: (error) => asFailure(error, new URL(url).host),
    async post(body, signal) {
      const answer = await http.send({ method: 'POST', path, headers: FRAMES, body }, signal)
      if (isFrames({ statusCode: answer.status, headers: answer.headers })) return answer.body
      unwrap(answer, url)
      throw new NotOurProtocol(`${url} did not answer the stream with frames`)
    },
  })

  return {
    hello: async (signal) => understood(await call('GET', '/hello', undefined, signal)),
    async open(linkKey, request, signal) {
      const answer = await call<OpenAnswer>('POST', `/links/${linkKey}/open`, request, signal)
      // A target of protocol 1 takes the call, and says nothing of itself.
      if (answer?.hello === undefined) {
        throw new NotOurProtocol(
          `${url} speaks an older sync protocol than ${SYNC_PROTOCOL}: run the same release on both`,
        )
      }
      understood(answer.hello)
      return answer
    },
    async missing(digests, signal) {
      const body = Buffer.concat(digests.map(digestBytes))
      const answer = await http.send({ method: 'POST', path: '/sync/v1/blobs/missing', headers: BYTES, body }, signal)
      const isBitmap = answer.status === 200 && answer.headers['content-type'] === BYTES['content-type']
      if (!isBitmap || answer.body.length !== Math.ceil(digests.length / 8)) {
        unwrap(answer, url)
        throw new NotOurProtocol(`${url} did not say which blobs it lacks`)
      }
      return new Set(digests.filter((_, n) => (answer.body[n >> 3]! & (0x80 >> (n & 7))) !== 0))
    },
    openStream(linkKey, begin, progress, signal) {
      const transport = streamTo(`/sync/v1/links/${linkKey}/stream`)
      return createFrameStream({ transport, way, begin, progress, clock }, signal)
    },
    async reconcile(project, repo, message, signal) {
      const path = `/sync/v1/repos/${encodeURIComponent(project)}/${encodeURIComponent(repo)}/recon`
      const answer = await http.send({ method: 'POST', path, headers: BYTES, body: message }, signal)
      if (answer.status === 200 && answer.headers['content-type'] === BYTES['content-type']) return answer.body
      unwrap(answer, url)
      throw new NotOurProtocol(`${url} did not answer the reconciliation`)
    },
    putBlob: (digest, sizeBytes, body, signal) => sendBody(`/blobs/${digestHex(digest)}`, body, sizeBytes, signal),
    openUpload: (request, signal) => call('POST', '/uploads', request, signal),
    putPart: (uploadId, part, sizeBytes, body, signal) =>
      sendBody(`/uploads/${uploadId}/parts/${part}`, body, sizeBytes, signal),
    completeUpload: (uploadId, signal) => call('POST', `/uploads/${uploadId}/complete`, {}, signal),
    [Symbol.dispose]: () => http[Symbol.dispose](),
  }
}

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

const isFrames = ({ statusCode, headers }: Pick<IncomingMessage, 'statusCode' | 'headers'>): boolean =>
  statusCode === 200 && headers['content-type'] === FRAMES_MEDIA_TYPE
