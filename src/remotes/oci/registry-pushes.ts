import type { ContentName } from '../../core/content-name.ts'
import { AppError } from '../../core/errors.ts'
import { LinkDown, NotConnected } from '../transport/failures.ts'
import type { BlobUploads, Mount, PushSource, Upload, UploadPoint } from './blob-uploads.ts'
import type { OnBytes, RegistryBlobs } from './registry-blobs.ts'
import { mayPass, reasonsOfFailure, statusOf } from './registry-failure.ts'
import type { RegistrySession } from './registry-session.ts'

export interface PushOptions {
  /** Where an earlier push got to, or what a mount gave that was not made. */
  readonly from?: UploadPoint | undefined
  /** After each part that the registry has taken. */
  readonly onPoint?: ((point: UploadPoint) => void | Promise<void>) | undefined
  /** Bytes that are sent again count again. */
  readonly onBytes?: OnBytes | undefined
}

export interface RegistryPushes {
  /**
   * Has the registry take a blob from another repository of its own. That it will not is no failure.
   */
  mountBlob(repository: string, name: ContentName, from: string, signal: AbortSignal): Promise<Mount>
  /**
   * Sends a blob in the way that is fastest for its size and that the registry takes; what it refused once is not tried first again.
   * @throws AppError UPSTREAM_FAILED, DIGEST_MISMATCH; what the source throws.
   */
  pushBlob(
    repository: string,
    name: ContentName,
    source: PushSource,
    options: PushOptions,
    signal: AbortSignal,
  ): Promise<void>
}

export interface PushLimits {
  /** Blobs up to here are sent with the request that ends the upload. */
  readonly wholeBytes: number
  /** Of a request of a larger one: this much is sent again after a break, and it costs one sync at the registry. */
  readonly partBytes: number
}
/**
 * In the order of the requests that they need: all with the last request; one PATCH with all; many with a part each, which can go on
 * after a break.
 */
type Way = 'whole' | 'patch' | 'parts'

/** Without anything that got through in between. */
const MAX_BREAKS = 3
interface Pushed extends Upload, Pick<PushOptions, 'onPoint'> {
  /** How far the last of its uploads got, and in how many parts. */
  reached: number
  parts: number
}

interface Deps {
  readonly session: RegistrySession
  readonly uploads: BlobUploads
  readonly blobs: RegistryBlobs
  readonly limits: PushLimits
}

export function createRegistryPushes({ session, uploads, blobs, limits }: Deps): RegistryPushes {
  const refused = new Set<Way>()

  /** The end, whose answer may be lost though it was done. */
  async function endSurely(upload: Pushed, point: UploadPoint): Promise<void> {
    try {
      await uploads.end(upload, point)
    } catch (error) {
      if (!isBroken(error) && statusOf(error) !== 404 && !mayPass(statusOf(error) ?? 0)) throw error
      if (!(await blobs.hasBlob(upload.repository, upload.name, upload.signal))) throw error
    }
  }

  /** Requests of `partBytes` each. */
  async function byParts(upload: Pushed, from: UploadPoint, partBytes: number): Promise<void> {
    const { source, signal } = upload
    let point = from
    for (let breaks = 0; point.offset < source.sizeBytes; ) {
      try {
        point = await uploads.sendPart(
          upload,
          point,
          Math.min(source.sizeBytes, point.offset + Math.max(partBytes, upload.leastPartBytes)),
        )
        breaks = 0
        upload.reached = point.offset
        upload.parts++
        await upload.onPoint?.(point)
      } catch (error) {
        signal.throwIfAborted()
        const passes = isBroken(error) || mayPass(statusOf(error) ?? 0)
        if ((!passes && statusOf(error) !== 416) || breaks === MAX_BREAKS) throw error
        if (passes) await session.pause(breaks, signal)
        const found = await uploads.find(upload, point.location)
        if (found === undefined || (found.offset === point.offset && !passes)) throw error
        breaks = found.offset > point.offset ? 0 : breaks + 1
        point = found
      }
    }
    await endSurely(upload, point)
  }

  async function byWay(way: Way, upload: Pushed, point: UploadPoint): Promise<void> {
    if (way === 'parts' || point.offset > 0) await byParts(upload, point, limits.partBytes)
    else if (way === 'patch') await byParts(upload, point, upload.source.sizeBytes)
    else await endSurely(upload, point)
  }

  function waysFor(sizeBytes: number): Way[] {
    const ways: Way[] = sizeBytes <= limits.wholeBytes ? ['whole', 'patch', 'parts'] : ['parts', 'patch', 'whole']
    return [...ways.filter((way) => !refused.has(way)), ...ways.filter((way) => refused.has(way))]
  }

  return {
    mountBlob: uploads.mount,
    async pushBlob(repository, name, source, options, signal) {
      const { onBytes, onPoint } = options
      const upload: Pushed = {
        repository,
        name,
        source,
        onBytes,
        onPoint,
        signal,
        leastPartBytes: 0,
        reached: 0,
        parts: 0,
      }
      let point = options.from === undefined ? undefined : await goingOn(upload, options.from)
      const tried: Way[] = []
      let first: unknown
      for (const way of source.sizeBytes === 0 ? (['whole', 'patch'] as const) : waysFor(source.sizeBytes)) {
        try {
          await again(way, upload, point)
          for (const other of tried) refused.add(other)
          return
        } catch (error) {
          if (!refusesWay(way, error)) throw error
          first ??= error
          tried.push(way)
          point = undefined
        }
      }
      throw first
    },
  }

  /** From the beginning when the registry lost an upload, or it broke, as long as each try gets further. */
  async function again(way: Way, upload: Pushed, from: UploadPoint | undefined): Promise<void> {
    let point = from
    let best = -1
    for (let attempt = 0; ; attempt++) {
      point ??= await uploads.begin(upload)
      upload.reached = point.offset
      upload.parts = 0
      try {
        return await byWay(way, upload, point)
      } catch (error) {
        upload.signal.throwIfAborted()
        const status = statusOf(error)
        if (status !== undefined && !mayPass(status) && !refusesWay(way, error)) throw error
        await uploads.forget(upload, point)
        const isLost = isBroken(error) || (status === 404 && upload.parts > 1)
        const isOld = status === 404 && attempt === 0 && from !== undefined
        const helps = mayPass(status ?? 0) || isOld || (isLost && upload.reached > best)
        if (!helps || attempt === MAX_BREAKS) throw error
        best = upload.reached
        point = undefined
        await session.pause(attempt, upload.signal)
      }
    }
  }

  async function goingOn(upload: Upload, from: UploadPoint): Promise<UploadPoint | undefined> {
    if (from.offset === 0) return from
    // A kept one may be of the time before the registry's address was changed.
    const isHere = URL.parse(from.location)?.hostname === session.origin.hostname
    return isHere ? uploads.find(upload, from.location) : undefined
  }
}

/** No answer came; it may have been done all the same. */
function isBroken(error: unknown): boolean {
  return error instanceof AppError && error.cause instanceof LinkDown && !(error.cause instanceof NotConnected)
}

const WAY_REFUSED: ReadonlySet<number> = new Set([404, 405, 411, 413, 415, 416, 501])

/** Another way may be taken: these bytes, in these requests, were not. */
function refusesWay(way: Way, error: unknown): boolean {
  const status = statusOf(error)
  if (status === undefined) return isBroken(error)
  // A registry that keeps the last part only says so by the digest.
  if (status === 400)
    return way === 'parts' || !reasonsOfFailure(error).some((reason) => /^(DIGEST|SIZE)_INVALID$/.test(reason))
  return WAY_REFUSED.has(status)
}
