import { algorithmOf, type ContentName, parseContentName } from '../../core/content-name.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import type { PullSource } from '../../core/pull-source.ts'
import type { OutgoingRules } from '../outgoing-url.ts'
import type { OutgoingBody } from './outgoing-body.ts'
import type { OnBytes } from './registry-blobs.ts'
import { mayPass, notTrue, type RegistryAnswer, statusOf } from './registry-failure.ts'
import type { RegistryCall, RegistrySession } from './registry-session.ts'
import { pullScope, pushScope, repositoryPath } from './repository-path.ts'
import { bytesTaken, nextLocation, withDigest } from './upload-location.ts'

/** Bytes that can be read again from any place on. */
export interface PushSource {
  readonly sizeBytes: number
  /** @param range half-open, offsets from 0. The caller disposes what is opened. */
  open(range: { readonly start: number; readonly end: number }, signal: AbortSignal): Promise<PullSource>
}

/** How far an upload got. May be kept, to go on after a restart of this server; registries forget it after some time. */
export interface UploadPoint {
  /** URL. It may hold a signature: not to be shown. */
  readonly location: string
  readonly offset: number
}

export interface Mount {
  readonly mounted: boolean
  /** An upload that the registry began in place of it, for `pushBlob`. */
  readonly from?: UploadPoint | undefined
}

/** A blob on its way to a registry, maybe over several of its uploads. */
export interface Upload {
  readonly repository: string
  readonly name: ContentName
  readonly source: PushSource
  readonly onBytes: OnBytes | undefined
  readonly signal: AbortSignal
  /** A part must not be smaller (`OCI-Chunk-Min-Length`). */
  leastPartBytes: number
}

/** The requests that uploads are made of (distribution specification 1.1, "Pushing Blobs"); all throw AppError UPSTREAM_FAILED. */
export interface BlobUploads {
  begin(upload: Upload): Promise<UploadPoint>
  /** How far an upload got, by the registry's word; undefined: it does not know it. */
  find(upload: Upload, location: string): Promise<UploadPoint | undefined>
  /** Bytes up to `to`, with a PATCH. @returns what the registry has then, maybe less. */
  sendPart(upload: Upload, from: UploadPoint, to: number): Promise<UploadPoint>
  /** Ends an upload with the bytes that it still needs. @throws AppError DIGEST_MISMATCH. */
  end(upload: Upload, from: UploadPoint): Promise<void>
  /** Leaves nothing lying about there; if that fails, the registry forgets it some day. */
  forget(upload: Upload, at: UploadPoint): Promise<void>
  mount(repository: string, name: ContentName, from: string, signal: AbortSignal): Promise<Mount>
}

const OK_START = [201, 202]
const OK_PART = [200, 201, 202, 204]
const OK_END = [200, 201, 202, 204]

/** It may not read there, or knows no mounts. */
const MOUNT_REFUSED: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 501])

interface Deps {
  readonly session: RegistrySession
  readonly rules: OutgoingRules
}

export function createBlobUploads({ session, rules }: Deps): BlobUploads {
  const callFor = (
    { repository, name }: Pick<Upload, 'repository' | 'name'>,
    method: RegistryCall['method'],
    to: string | URL,
  ) => ({
    method,
    to,
    what: `${method} of blob ${name} to ${repository}`,
    scopes: [pushScope(repository)],
  })

  function locationIn({ headers }: Pick<RegistryAnswer, 'headers'>, call: Pick<RegistryCall, 'what'>, asked: URL): URL {
    try {
      return nextLocation(headers.location, asked, rules)
    } catch (error) {
      throw notTrue(session.host, call.what, messageOf(error))
    }
  }

  const uploadsOf = (repository: string): URL => new URL(repositoryPath(repository, 'blobs/uploads/'), session.origin)

  function bodyOf({ source, onBytes }: Upload, from: number, to: number): OutgoingBody {
    return {
      sizeBytes: to - from,
      async open(signal) {
        const opened = await source.open({ start: from, end: to }, signal)
        return onBytes === undefined ? opened : counted(opened, onBytes)
      },
    }
  }

  return {
    async begin(upload: Upload): Promise<UploadPoint> {
      const to = uploadsOf(upload.repository)
      const call = { ...callFor(upload, 'POST', to), accepts: [202] }
      const answer = await session.send(call, upload.signal)
      upload.leastPartBytes = leastPart(answer)
      return { location: locationIn(answer, call, to).href, offset: 0 }
    },

    async find(upload: Upload, location: string): Promise<UploadPoint | undefined> {
      const to = new URL(location)
      const call = { ...callFor(upload, 'GET', to), accepts: [204, 200, 202] }
      try {
        const answer = await session.send(call, upload.signal)
        const offset = bytesTaken(answer.headers)
        // `0-0` stands for one byte and for none: nobody sends parts of one byte.
        if (offset === undefined || offset > upload.source.sizeBytes) return undefined
        const next = answer.headers.location === undefined ? to : locationIn(answer, call, to)
        return { location: next.href, offset: offset <= 1 ? 0 : offset }
      } catch (error) {
        if (statusOf(error) === undefined || mayPass(statusOf(error) ?? 0)) throw error
        return undefined
      }
    },

    async sendPart(upload: Upload, { location, offset }: UploadPoint, to: number): Promise<UploadPoint> {
      const asked = new URL(location)
      const isAll = offset === 0 && to === upload.source.sizeBytes
      const headers = {
        ...(isAll ? {} : { 'content-range': `${offset}-${to - 1}` }),
        'content-type': 'application/octet-stream',
      }
      const call = { ...callFor(upload, 'PATCH', asked), headers, body: bodyOf(upload, offset, to), accepts: OK_PART }
      const answer = await session.send(call, upload.signal)
      const told = bytesTaken(answer.headers)
      // Some say `0-0` whatever came.
      const taken = told === undefined || told === 1 ? to : told
      if (taken <= offset || taken > to)
        throw notTrue(session.host, call.what, `a range that ends before ${taken}, after bytes ${offset} to ${to}`)
      const next = answer.headers.location === undefined ? asked : locationIn(answer, call, asked)
      return { location: next.href, offset: taken }
    },

    async end(upload: Upload, { location, offset }: UploadPoint): Promise<void> {
      const { source, name, signal } = upload
      const to = withDigest(new URL(location), name)
      const range =
        offset === 0 || offset === source.sizeBytes ? {} : { 'content-range': `${offset}-${source.sizeBytes - 1}` }
      const body = offset === source.sizeBytes ? Buffer.alloc(0) : bodyOf(upload, offset, source.sizeBytes)
      const headers = { ...range, 'content-type': 'application/octet-stream' }
      const call = { ...callFor(upload, 'PUT', to), headers, body, accepts: OK_END }
      const answer = await session.send(call, signal)
      const told = parseContentName(String(answer.headers['docker-content-digest'] ?? ''))
      if (told === undefined || algorithmOf(told) !== algorithmOf(name) || told === name) return
      throw new AppError('DIGEST_MISMATCH', `registry [${session.host}] stored ${told} in place of ${name}`, {
        ...{ registry: session.host, expected: name, found: told },
      })
    },

    async forget(upload: Upload, { location }: UploadPoint): Promise<void> {
      const call = { ...callFor(upload, 'DELETE', new URL(location)), accepts: [200, 202, 204, 404] }
      await session.send(call, upload.signal).catch(() => upload.signal.throwIfAborted())
    },

    async mount(repository, name, from, signal) {
      const to = uploadsOf(repository)
      to.search = `?mount=${encodeURIComponent(name)}&from=${encodeURIComponent(from)}`
      const call = { ...callFor({ repository, name }, 'POST', to), accepts: OK_START }
      const scopes = [pushScope(repository), pullScope(from)]
      try {
        const answer = await session.send({ ...call, scopes }, signal)
        if (answer.status === 201) return { mounted: true }
        return { mounted: false, from: { location: locationIn(answer, call, to).href, offset: 0 } }
      } catch (error) {
        if (!MOUNT_REFUSED.has(statusOf(error) ?? 0)) throw error
        return { mounted: false }
      }
    },
  }
}

const leastPart = ({ headers }: RegistryAnswer): number => {
  const bytes = Number(headers['oci-chunk-min-length'])
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0
}

function counted(source: PullSource, onBytes: OnBytes): PullSource {
  return {
    async read(into, signal) {
      const length = await source.read(into, signal)
      if (length > 0) await onBytes(length)
      return length
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
}
