import { Agent, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { pino } from 'pino'
import { createBlobIntake } from '../../src/artifacts/blobs/blob-intake.ts'
import { createDownloads } from '../../src/artifacts/downloads/downloads.ts'
import { createAccessTimes } from '../../src/artifacts/nodes/access-times.ts'
import { createNodeSearches } from '../../src/artifacts/search/node-searches.ts'
import { createPackageSearches } from '../../src/artifacts/search/package-searches.ts'
import { type BlockUploads, createBlockUploads } from '../../src/artifacts/uploads/block-uploads.ts'
import { createFilePlacement } from '../../src/artifacts/uploads/file-placement.ts'
import { createGroupedUploads } from '../../src/artifacts/uploads/grouped-uploads.ts'
import { createUploads } from '../../src/artifacts/uploads/uploads.ts'
import { createNodeViews } from '../../src/artifacts/views/node-views.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import { createRights } from '../../src/auth/rights.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { Digest } from '../../src/core/digest.ts'
import { createDates } from '../../src/http/dates.ts'
import type { Envelope } from '../../src/http/envelope.ts'
import { blockRoutes } from '../../src/http/files/block-routes.ts'
import { genericRoutes } from '../../src/http/files/generic-routes.ts'
import { createServerMetrics } from '../../src/http/metrics.ts'
import { metadataRoutes } from '../../src/http/nodes/metadata-routes.ts'
import { nodeRoutes } from '../../src/http/nodes/node-routes.ts'
import { restoreRoutes } from '../../src/http/nodes/restore-routes.ts'
import { searchRoutes } from '../../src/http/nodes/search-routes.ts'
import { treeRoutes } from '../../src/http/nodes/tree-routes.ts'
import { lifetimeRoutes } from '../../src/http/repositories/lifetime-routes.ts'
import { projectRoutes } from '../../src/http/repositories/project-routes.ts'
import { quotaRoutes } from '../../src/http/repositories/quota-routes.ts'
import { repositoryRoutes } from '../../src/http/repositories/repository-routes.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createSegmentIndex } from '../../src/metadata/storage/segment-index.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import { createMemoryBlobStore } from '../../src/storage/memory/blob-store.ts'
import { createMemoryBlockSpool } from '../../src/storage/memory/block-spool.ts'
import { createSmallBlobs } from '../../src/storage/small-blobs.ts'
import { type ArtifactServices, artifactServices } from './artifacts.ts'
import { NO_SAMPLES } from './edge.ts'
import { countingIds } from './ids.ts'
import { proxyServices } from './proxies.ts'

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Of the envelope; 0 when the body is none. */
  readonly code: number
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
  readonly data: any
}

export interface Sending {
  /** `admin` (when left out) is the administrator, all others are not; empty: without credentials. */
  readonly user?: string
  readonly headers?: OutgoingHttpHeaders
  /** An object is sent as JSON; a stream in chunks, unless the headers tell its length. */
  readonly body?: Buffer | string | Readable | object | undefined
}

export interface ArtifactApi extends ArtifactServices, AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What is published, by digest. */
  readonly content: Map<Digest, Buffer>
  readonly accessTimes: ReturnType<typeof createAccessTimes>
  readonly blockUploads: BlockUploads
  /** Blocks that are stored, by upload. */
  readonly blocks: Map<string, Map<string, Buffer>>
  /** `path` goes out as it is: nothing is normalised or encoded on the way. */
  send(method: string, path: string, sending?: Sending): Promise<RawAnswer>
}

export interface ArtifactApiOptions {
  readonly blobs?: BlobStore
  /** Of the edge only. */
  readonly clock?: Clock
  /** Rows that one search looks at. */
  readonly lookAtMost?: number
  /** What a proxy could not fetch. */
  readonly warn?: (message: string, about: Readonly<Record<string, unknown>>) => void
}

/** Projects, repositories, nodes and the generic protocol behind the real edge, on a loopback port. */
export async function artifactApi(db: MetadataDatabase, options: ArtifactApiOptions = {}): Promise<ArtifactApi> {
  const services = artifactServices(db)
  const { clock, hlc, projects, repositories, nodes, trees } = services
  const rights = createRights({ db })
  const content = new Map<Digest, Buffer>()
  const blobs = options.blobs ?? createMemoryBlobStore(content, createSegmentIndex({ db, clock }))
  const dates = createDates('UTC')
  const raise = (error: unknown) => {
    throw error
  }
  const accessTimes = createAccessTimes({ db, clock, onError: raise })
  const intake = createBlobIntake({ db, store: blobs, clock })
  const placement = createFilePlacement({ db, intake, clock, hlc })
  const grouped = createGroupedUploads({ db, intake, clock, hlc })
  const uploads = createUploads({ db, blobs, placement, grouped })
  const blocks = new Map<string, Map<string, Buffer>>()
  const spool = createMemoryBlockSpool(blocks)
  const blockUploads = createBlockUploads({ db, blobs, spool, placement, clock, ids: countingIds(), onLeftover: raise })
  const downloads = createDownloads({
    ...{ db, blobs, clock, repositories, accessTimes, onContentMissing: () => {}, onContentDamaged: () => {} },
    smallBlobs: createSmallBlobs(blobs, 0),
    ...proxyServices({ db, blobs, intake, clock, hlc, warn: options.warn }),
  })
  const views = createNodeViews({ db, clock, nodes })
  const limits = { lookAtMost: options.lookAtMost ?? 100_000 }
  const searches = createNodeSearches({ db, clock, limits })
  const packageSearches = createPackageSearches({ db, limits })
  const app = await createHttpServer({
    routes: [
      projectRoutes({ projects, rights, creators: ['carol'], dates }),
      repositoryRoutes({ repositories, quotas: services.quotas, rights, dates }),
      quotaRoutes({ repositories, quotas: services.quotas }),
      lifetimeRoutes({ repositories, expiry: services.expiry, cleanup: services.cleanup, dates }),
      nodeRoutes({ repositories, nodes, views, dates }),
      treeRoutes({ repositories, trees, dates }),
      restoreRoutes({ repositories, trees, dates }),
      searchRoutes({ searches, packageSearches, rights, dates }),
      metadataRoutes({ repositories, nodes, views }),
      genericRoutes({ repositories, trees, uploads, blockUploads, downloads, dates, clock: options.clock ?? clock }),
      blockRoutes({ repositories, blockUploads, dates, clock }),
    ],
    access: {
      authenticate: async (userId) => (userId === undefined ? ANONYMOUS : { userId, admin: userId === 'admin' }),
      rights,
    },
    document: { version: '0', publicUrl: undefined },
    metrics: createServerMetrics(NO_SAMPLES),
    timeZone: 'UTC',
    clock,
    ids: countingIds(),
    logger: pino({ level: 'silent' }),
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  return {
    ...services,
    url: `http://127.0.0.1:${port}`,
    port,
    content,
    accessTimes,
    blockUploads,
    blocks,
    send: (method, path, sending = {}) => sendRequest({ agent, port, method, path }, sending),
    async [Symbol.asyncDispose]() {
      agent.destroy()
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

async function sendRequest(
  to: { readonly agent: Agent; readonly port: number; readonly method: string; readonly path: string },
  { user = 'admin', headers = {}, body }: Sending,
): Promise<RawAnswer> {
  const login = user === '' ? {} : { authorization: user }
  const plain = body === undefined || Buffer.isBuffer(body) || typeof body === 'string' || body instanceof Readable
  const payload = plain ? body : JSON.stringify(body)
  const json = plain ? {} : { 'content-type': 'application/json' }
  const length =
    payload instanceof Readable || payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) }
  const outgoing = request({ host: '127.0.0.1', ...to, headers: { ...login, ...json, ...length, ...headers } })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', resolve)
  })
  // A refusal may come before the body was sent: then the answer counts, not the cut pipe.
  if (payload instanceof Readable) pipeline(payload, outgoing).catch(() => {})
  else outgoing.end(payload)
  return readAnswer(await answered)
}

async function readAnswer(incoming: IncomingMessage): Promise<RawAnswer> {
  const body = await buffer(incoming)
  const isEnvelope = body.length > 0 && incoming.headers['content-type'] === 'application/json; charset=utf-8'
  const { code, data } = isEnvelope ? (JSON.parse(body.toString()) as Envelope) : { code: 0, data: undefined }
  return { status: incoming.statusCode!, headers: incoming.headers, body, code, data }
}
