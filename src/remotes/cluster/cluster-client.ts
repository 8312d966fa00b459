import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { type Digest, digestBytes, digestHex } from '../../core/digest.ts'
import type { PullSource } from '../../core/pull-source.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../transport/failures.ts'
import {
  asFailure,
  collect,
  createHttpClient,
  type HttpAnswer,
  type HttpCall,
  type HttpTarget,
} from '../transport/http-client.ts'
import type { BodyPace } from '../transport/pulled-body.ts'
import { remoteText } from '../transport/remote-text.ts'
import { retryAfterMs } from '../transport/retry-after.ts'
import type { AccessAnswer, AccessRequest } from './access-messages.ts'
import { readAccess, readCheck, readHello, readOpen, readUpload } from './answers.ts'
import type { FrameStream, StreamProgress } from './frame-stream.ts'
import type { StreamBegin } from './frames/frame.ts'
import { FRAMES_MEDIA_TYPE } from './frames/frame-limits.ts'
import { BODY_SUM_HEADER, createSealReader, isSealed, SEALED, seal, sumOfBody } from './frames/sealed-blocks.ts'
import type { CheckAnswer, HelloAnswer, OpenAnswer, OpenRequest, UploadAnswer, UploadRequest } from './messages.ts'
import { createFrameStream, type StreamTransport, type StreamWay } from './stream/frame-stream-client.ts'
import { createLineRate } from './stream/line-rate.ts'
import { packedBody } from './stream/packed-body.ts'

/**
 * Another cluster, as this one speaks to it (docs/design/sync-protocol.md). All calls may be repeated: what arrived twice
 * counts once. @throws LinkDown, NotOurProtocol, RemoteRefusal.
 */
export interface ClusterClient extends Disposable {
  hello(signal: AbortSignal): Promise<HelloAnswer>
  /** What the target said of itself, by whichever call; asked only when nothing is known yet. */
  greeting(signal: AbortSignal): Promise<HelloAnswer>
  open(linkKey: string, request: OpenRequest, signal: AbortSignal): Promise<OpenAnswer>
  /** Those of the digests (at most 10,000) whose bytes the target lacks; it keeps the others for the grace time of its collection. */
  missing(digests: readonly Digest[], signal: AbortSignal, where?: 'in storage'): Promise<Set<Digest>>
  /** Has stored bytes (of at most 10,000 digests) read again, for a few seconds; a target without `features.checks` knows no such call. */
  checkStored(digests: readonly Digest[], signal: AbortSignal): Promise<CheckAnswer>
  /** Begins a stream. The signal ends it. */
  openStream(linkKey: string, begin: StreamBegin, progress: StreamProgress, signal: AbortSignal): FrameStream
  /** One round of reconciliation: a message and its answer (replication/recon). */
  reconcile(project: string, repo: string, message: Buffer, signal: AbortSignal): Promise<Buffer>
  /** One blob in one request. */
  putBlob(digest: Digest, sizeBytes: number, body: PullSource, signal: AbortSignal): Promise<void>
  openUpload(request: UploadRequest, signal: AbortSignal): Promise<UploadAnswer>
  putPart(uploadId: string, part: number, sizeBytes: number, body: PullSource, signal: AbortSignal): Promise<void>
  completeUpload(uploadId: string, signal: AbortSignal): Promise<void>
  putAccess(request: AccessRequest, signal: AbortSignal): Promise<AccessAnswer>
}

const CONNECTIONS = 16
const IDLE_MS = 30_000
/** Of a whole answer, once the request went out: bytes that drip in do not hold a call for ever. */
const ANSWER_MS = 5 * 60_000
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
    { connections: CONNECTIONS, idleMs: IDLE_MS, answerMs: ANSWER_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
    clock,
  )

  let known: HelloAnswer | undefined
  const way: StreamWay = {
    duplex: 'unknown',
    line: createLineRate(),
    takesBundles: () => known?.features.zstd === true,
  }

  const host = new URL(url).host
  function unchanged(answer: HttpAnswer): HttpAnswer {
    const said = answer.headers[BODY_SUM_HEADER]
    if (said === undefined || said === sumOfBody(answer.body)) return answer
    throw new LinkDown(`${host}: the answer changed on its way`)
  }
  async function send(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const sum = Buffer.isBuffer(call.body) ? { [BODY_SUM_HEADER]: sumOfBody(call.body) } : {}
    return unchanged(await http.send({ ...call, headers: { ...call.headers, ...sum } }, signal))
  }
  async function call(method: HttpCall['method'], path: string, json: unknown, signal: AbortSignal): Promise<unknown> {
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    return unwrap(await send({ method, path: `/sync/v1${path}`, headers, body }, signal), url)
  }
  /** Large bytes: packed where that is faster. */
  async function sendBody(path: string, source: PullSource, sizeBytes: number, signal: AbortSignal): Promise<void> {
    const packs = way.line.isSlow && way.takesBundles() && sizeBytes >= PACKED_FROM_BYTES
    const plain = { body: source, bodyBytes: sizeBytes, headers: {} }
    const { headers, ...body } = packs ? await packedBody(source, sizeBytes, signal) : plain
    const onPace = ({ bytes, blockedMs, elapsedMs }: BodyPace) => way.line.add(bytes, blockedMs, elapsedMs)
    const call = { method: 'PUT', path: `/sync/v1${path}`, headers: { ...BYTES, ...headers }, ...body, onPace } as const
    const ended = way.line.begin()
    try {
      unwrap(await send(call, signal), url)
    } finally {
      ended()
    }
  }
  /** What the target says of itself holds for all that follows. */
  function understood(answer: HelloAnswer): HelloAnswer {
    known = answer
    if (!answer.features.duplex) way.duplex = 'buffered'
    return answer
  }
  const hello = async (signal: AbortSignal) =>
    understood(readHello(await call('GET', '/hello', undefined, signal), url))
  const seals = () => known?.features.sealed === true
  const streamTo = (path: string): StreamTransport => ({
    seals,
    request: (signal) => http.duplex({ path, headers: { ...FRAMES, ...(seals() && SEALED) } }, signal),
    async accept(response) {
      if (isFrames(response)) return
      unwrap(unchanged(await collect(response, MAX_ANSWER_BYTES)), url)
      throw new NotOurProtocol(`${url} did not answer the stream with frames`)
    },
    failureOf: (error) => asFailure(error, host),
    async post(body, signal) {
      const isSealing = seals()
      const headers = { ...FRAMES, ...(isSealing && SEALED) }
      const wire = isSealing ? Buffer.concat(seal([body])) : body
      const answer = await send({ method: 'POST', path, headers, body: wire }, signal)
      if (isFrames({ statusCode: answer.status, headers: answer.headers }))
        return isSealing ? plainBytes(answer, host) : answer.body
      unwrap(answer, url)
      throw new NotOurProtocol(`${url} did not answer the stream with frames`)
    },
  })

  return {
    hello,
    greeting: async (signal) => known ?? hello(signal),
    async open(linkKey, request, signal) {
      const answer = readOpen(await call('POST', `/links/${linkKey}/open`, request, signal), url)
      understood(answer.hello)
      return answer
    },
    async missing(digests, signal, where) {
      const body = Buffer.concat(digests.map(digestBytes))
      // A target that does not know the question answers by its rows.
      const path = `/sync/v1/blobs/missing${where === undefined ? '' : '?in=storage'}`
      const answer = await send({ method: 'POST', path, headers: BYTES, body }, signal)
      const isBitmap = answer.status === 200 && answer.headers['content-type'] === BYTES['content-type']
      if (!isBitmap || answer.body.length !== Math.ceil(digests.length / 8)) {
        unwrap(answer, url)
        throw new NotOurProtocol(`${url} did not say which blobs it lacks`)
      }
      return new Set(digests.filter((_, n) => (answer.body[n >> 3]! & (0x80 >> (n & 7))) !== 0))
    },
    async checkStored(digests, signal) {
      const body = Buffer.concat(digests.map(digestBytes))
      const answer = await send({ method: 'POST', path: '/sync/v1/blobs/check', headers: BYTES, body }, signal)
      return readCheck(unwrap(answer, url), digests.length, url)
    },
    openStream(linkKey, begin, progress, signal) {
      const transport = streamTo(`/sync/v1/links/${linkKey}/stream`)
      return createFrameStream({ transport, way, begin, progress, clock }, signal)
    },
    async reconcile(project, repo, message, signal) {
      const path = `/sync/v1/repos/${encodeURIComponent(project)}/${encodeURIComponent(repo)}/recon`
      const answer = await send({ method: 'POST', path, headers: BYTES, body: message }, signal)
      if (answer.status === 200 && answer.headers['content-type'] === BYTES['content-type']) return answer.body
      unwrap(answer, url)
      throw new NotOurProtocol(`${url} did not answer the reconciliation`)
    },
    putBlob: (digest, sizeBytes, body, signal) => sendBody(`/blobs/${digestHex(digest)}`, body, sizeBytes, signal),
    openUpload: async (request, signal) => readUpload(await call('POST', '/uploads', request, signal), request, url),
    putPart: (uploadId, part, sizeBytes, body, signal) =>
      sendBody(`/uploads/${uploadId}/parts/${part}`, body, sizeBytes, signal),
    async completeUpload(uploadId, signal) {
      await call('POST', `/uploads/${uploadId}/complete`, {}, signal)
    },
    putAccess: async (request, signal) => readAccess(await call('PUT', '/permissions', request, signal), url),
    [Symbol.dispose]: () => http[Symbol.dispose](),
  }
}

function unwrap(answer: HttpAnswer, url: string): unknown {
  const envelope = parseEnvelope(answer.body)
  if (envelope === undefined) {
    if (answer.status >= 500 || answer.status === 429) {
      const message = `${url} answered HTTP ${answer.status}`
      throw new RemoteRefusal(message, answer.status, undefined, retryAfterMs(answer.headers))
    }
    throw new NotOurProtocol(`${url} answered HTTP ${answer.status} with something that is not an Entrepot answer`)
  }
  if (envelope.code !== 0) {
    const message = `${envelope.message} (${envelope.code})`
    throw new RemoteRefusal(message, answer.status, envelope.code, retryAfterMs(answer.headers))
  }
  return envelope.data
}

function parseEnvelope(body: Buffer): { code: number; message: string; data: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value !== 'object' || value === null || !('code' in value)) return undefined
    const { code, message, data } = value as { code: unknown; message?: unknown; data?: unknown }
    return Number.isSafeInteger(code)
      ? { code: code as number, message: remoteText(message) || 'refused', data }
      : undefined
  } catch {
    return undefined
  }
}

/** The frames of a whole answer. */
function plainBytes(answer: HttpAnswer, host: string): Buffer {
  // Its head carries no sum: a target that takes blocks answers so.
  if (!isSealed(answer)) throw new LinkDown(`${host}: the answer changed on its way`)
  try {
    const blocks = createSealReader()
    const frames = Buffer.concat(blocks.push(answer.body))
    blocks.end()
    return frames
  } catch (cause) {
    throw new LinkDown(`${host}: the answer changed on its way`, { cause })
  }
}

const isFrames = ({ statusCode, headers }: Pick<IncomingMessage, 'statusCode' | 'headers'>): boolean =>
  statusCode === 200 && headers['content-type'] === FRAMES_MEDIA_TYPE
