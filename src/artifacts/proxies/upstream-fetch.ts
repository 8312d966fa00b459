import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { findRepositoryById, type Repository } from '../../metadata/repositories/repositories.ts'
import { type ProxyFile, saveProxyFile } from '../../metadata/storage/proxy-files.ts'
import type { UpstreamClient } from '../../remotes/upstream/upstream-client.ts'
import type { BlobStore, StagedBlob } from '../../storage/blob-store.ts'
import type { BlobIntake } from '../blobs/blob-intake.ts'
import { folderInTheWay, lockLive, putFiles } from '../nodes/node-writer.ts'
import { settle, stampAbove } from '../nodes/settle.ts'
import { type Arrival, createArrivingBody } from './arrival.ts'
import { judgeAnswer, type UpstreamFile, upstreamFailed } from './upstream-answer.ts'
import { hasChannel, type UpstreamChannel } from './upstream-channel.ts'

/** One file of one channel. */
export interface FetchOrder {
  readonly repository: Repository
  readonly channel: UpstreamChannel
  readonly path: NodePath
  /** What is here already, when the same channel gave it: the upstream may say that nothing changed. */
  readonly known: Pick<ProxyFile, 'etag' | 'lastModified'> | undefined
  /** Request header `Via`: servers on the way to here. */
  readonly via: string
}

export type Fetched =
  | { readonly kind: 'arriving'; readonly arrival: Arrival }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }

export interface UpstreamFetch extends Disposable {
  /**
   * Asks the upstream and stores what it sends, as a node, which goes on after this has resolved. Nothing is left of a body that
   * breaks off or is not what was announced. @throws AppError UPSTREAM_FAILED when there is no usable answer.
   */
  fetch(order: FetchOrder, signal: AbortSignal): Promise<Fetched>
  /** An answer whose body nobody stores. The caller consumes or destroys it. @throws AppError UPSTREAM_FAILED. */
  pass(
    order: FetchOrder,
    method: 'GET' | 'HEAD',
    signal: AbortSignal,
  ): Promise<{ readonly file: UpstreamFile; readonly body: IncomingMessage } | undefined>
}

export interface UpstreamFetchDeps {
  readonly db: MetadataDatabase
  readonly blobs: BlobStore
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly client: UpstreamClient
}

/** Who writes what was fetched. */
const SYSTEM = 'system'

export function createUpstreamFetch({ db, blobs, intake, clock, hlc, client }: UpstreamFetchDeps): UpstreamFetch {
  const open = (digest: Digest, start: number, signal: AbortSignal) => blobs.open(digest, { start }, signal)

  async function ask(order: FetchOrder, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<IncomingMessage> {
    const { channel, path, known, via } = order
    const headers: Record<string, string> = { 'accept-encoding': 'identity', accept: '*/*', via }
    if (known?.etag !== undefined) headers['if-none-match'] = known.etag
    if (known?.lastModified !== undefined) headers['if-modified-since'] = known.lastModified
    try {
      return await client.ask(channel, { method, path: encodePath(path), headers }, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw upstreamFailed(placeOf(order), error)
    }
  }

  /** Reads, verifies and stores; nothing of it is visible before all is right. */
  async function store(order: FetchOrder, file: UpstreamFile, body: IncomingMessage, signal: AbortSignal) {
    const arriving = createArrivingBody(file, { open })
    const work = async () => {
      const moved = pipeline(body, arriving.tap, { signal })
      moved.catch(() => {})
      await using staged = await receive(order, file, arriving.tap, signal)
      await moved
      await intake.prepare([staged], signal)
      const node = await settle(() => db.transact((trx) => commit(trx, order, file, staged, signal)))
      return { node, content: { digest: staged.digest, sizeBytes: staged.sizeBytes } }
    }
    work().then(
      ({ node, content }) => arriving.finish(node, content),
      (error) => {
        body.destroy()
        arriving.fail(error)
      },
    )
    return arriving.arrival
  }

  async function receive(order: FetchOrder, file: UpstreamFile, body: NodeJS.ReadableStream, signal: AbortSignal) {
    let staged: StagedBlob
    try {
      staged = await blobs.receive(body as never, { sizeBytes: file.sizeBytes }, signal)
    } catch (error) {
      signal.throwIfAborted()
      const why = hasCode(error, 'ARTIFACT_BROKEN')
        ? `the file has another length than announced: ${error.message}`
        : error
      throw upstreamFailed(placeOf(order), why)
    }
    if (file.digest === undefined || staged.digest === file.digest) return staged
    await staged[Symbol.asyncDispose]()
    throw upstreamFailed(placeOf(order), `it announced ${file.digest}, and sent ${staged.digest}`)
  }

  async function commit(
    trx: Transaction,
    { repository, channel, path }: FetchOrder,
    file: UpstreamFile,
    staged: StagedBlob,
    signal: AbortSignal,
  ): Promise<NodeRecord> {
    const now = clock.now()
    const today = await findRepositoryById(trx, repository.id)
    if (today === undefined || !hasChannel(today, channel)) {
      throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${repository.name}] was changed during the download`, {})
    }
    const current = await lockLive(trx, repository.id, [path, parentOf(path)])
    const previous = current.get(path)
    if (previous?.folder) throw folderInTheWay(path)
    await intake.claim(trx, [staged], signal)
    const { etag, lastModified } = file
    const checked = { fetchedAt: now, checkedAt: now }
    const origin = { channel: channel.name, url: channel.url, digest: staged.digest, etag, lastModified }
    await saveProxyFile(trx, repository.id, path, { ...origin, ...checked })
    // Somebody may have uploaded it to a COMPOSITE repository meanwhile, or another process fetched the same.
    if (previous !== undefined && !isExpired(previous, now)) {
      if (previous.digest === staged.digest || repository.category !== 'REMOTE') return previous
    }
    const write = {
      path,
      digest: staged.digest,
      sizeBytes: staged.sizeBytes,
      md5: undefined,
      metadata: previous?.metadata ?? [],
      expiresAt: undefined,
      createdBy: SYSTEM,
      createdAt: now,
      modifiedBy: SYSTEM,
      modifiedAt: now,
      origin: 0,
      hlc: stampAbove(hlc, previous?.hlc),
      viaLink: undefined,
      viaMark: undefined,
    }
    const [record] = await putFiles(trx, repository, [write], current, now)
    return record!
  }

  return {
    async fetch(order, signal) {
      const answer = await ask(order, 'GET', signal)
      const verdict = judged(answer, order, 'GET')
      if (verdict.kind === 'file')
        return { kind: 'arriving', arrival: await store(order, verdict.file, answer, signal) }
      drop(answer)
      return verdict.kind === 'unchanged' && order.known !== undefined ? { kind: 'unchanged' } : { kind: 'absent' }
    },
    async pass(order, method, signal) {
      const answer = await ask(order, method, signal)
      const verdict = judged(answer, order, method)
      if (verdict.kind === 'file') return { file: verdict.file, body: answer }
      drop(answer)
      return undefined
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  }
}

function judged(answer: IncomingMessage, order: FetchOrder, method: 'GET' | 'HEAD') {
  try {
    return judgeAnswer(answer, method, placeOf(order))
  } catch (error) {
    drop(answer)
    throw error
  }
}

/** A small body is read to its end, so that the connection can be used again. */
function drop(answer: IncomingMessage): void {
  answer.on('error', () => {})
  const small = Number(answer.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= SMALL_BYTES
  if (small || answer.statusCode === 304) answer.resume()
  else answer.destroy()
}
const SMALL_BYTES = 64 * 1024

/** `/a b/ü#` → `/a%20b/%C3%BC%23`. */
const encodePath = (path: NodePath): string => path.split('/').map(encodeURIComponent).join('/')

/** As users know it. */
const placeOf = ({ repository, channel }: FetchOrder): string =>
  `${new URL(channel.url).host} of repository [${repository.project}/${repository.name}]`
