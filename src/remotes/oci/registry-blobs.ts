import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { ContentName } from '../../core/content-name.ts'
import { AppError } from '../../core/errors.ts'
import { notTrue } from './registry-failure.ts'
import type { RegistrySession } from './registry-session.ts'
import { pullScope, repositoryPath } from './repository-path.ts'

/** Hears of bytes as they pass; what it waits for, they wait for. */
export type OnBytes = (count: number) => void | Promise<void>

export interface BlobOptions {
  /** Of the first byte that is wanted, from 0. */
  readonly start?: number | undefined
  readonly onBytes?: OnBytes | undefined
}
export interface FetchedBlob {
  /** Of the whole blob; undefined: the registry does not say. */
  readonly sizeBytes: number | undefined
  /**
   * From `start` on. It goes on where it was when the connection breaks, some times; then it fails with UPSTREAM_FAILED. Whether the
   * bytes are the blob's is for the caller to check.
   */
  readonly stream: Readable
}

export interface RegistryBlobs {
  hasBlob(repository: string, name: ContentName, signal: AbortSignal): Promise<boolean>
  /** Undefined: not there. The caller consumes or destroys the stream. */
  getBlob(
    repository: string,
    name: ContentName,
    options: BlobOptions,
    signal: AbortSignal,
  ): Promise<FetchedBlob | undefined>
}

/** Without a byte in between. */
const MAX_BREAKS = 4

export function createRegistryBlobs(session: RegistrySession): RegistryBlobs {
  const callTo = (method: 'GET' | 'HEAD', repository: string, name: ContentName) => ({
    method,
    to: repositoryPath(repository, `blobs/${name}`),
    what: `${method} of blob ${name} in ${repository}`,
    scopes: [pullScope(repository)],
  })

  /** @returns the answer, and how many of its first bytes are not wanted. */
  async function openAt(repository: string, name: ContentName, start: number, signal: AbortSignal) {
    const headers: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` }
    const call = {
      ...callTo('GET', repository, name),
      headers,
      accepts: start === 0 ? [200, 404] : [200, 206, 404, 416],
    }
    const answer = await session.open(call, signal)
    return { answer, skip: answer.statusCode === 200 ? start : 0, what: call.what }
  }

  async function* chunks(
    first: { readonly answer: IncomingMessage; readonly skip: number },
    { repository, name, start, onBytes }: BlobOptions & { repository: string; name: ContentName; start: number },
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const { what } = callTo('GET', repository, name)
    let at = start
    let { answer, skip } = first
    for (let breaks = 0; ; ) {
      try {
        for await (const chunk of answer as AsyncIterable<Buffer>) {
          const wanted = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length))
          skip -= chunk.length - wanted.length
          if (wanted.length === 0) continue
          at += wanted.length
          breaks = 0
          const wait = onBytes?.(wanted.length)
          if (wait !== undefined) await wait
          yield wanted
        }
        return
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof AppError) throw error
        const failure = session.broken(what, error)
        if (!failure.retryable || breaks === MAX_BREAKS) throw failure
        await session.pause(breaks++, signal)
        const again = await openAt(repository, name, at, signal)
        answer = again.answer
        skip = again.skip
        if (answer.statusCode === 404 || answer.statusCode === 416) {
          discard(answer)
          throw failure
        }
        if (answer.statusCode === 206 && rangeOf(answer)?.start !== at) {
          discard(answer)
          throw notTrue(session.host, what, 'another range than the one asked for')
        }
      }
    }
  }

  return {
    async hasBlob(repository, name, signal) {
      // Where it redirects to is nothing that we need to know.
      const call = { ...callTo('HEAD', repository, name), accepts: [200, 301, 302, 303, 307, 308, 404] }
      return (await session.send(call, signal)).status !== 404
    },
    async getBlob(repository, name, { start = 0, onBytes }, signal) {
      const stop = new AbortController()
      const both = AbortSignal.any([signal, stop.signal])
      const { answer, skip, what } = await openAt(repository, name, start, both)
      const { statusCode: status } = answer
      if (status === 404) {
        discard(answer)
        return undefined
      }
      const range = rangeOf(answer)
      if (status === 416) {
        discard(answer)
        if (range?.sizeBytes !== start) throw notTrue(session.host, what, `416 to a range from ${start} on`)
        return { sizeBytes: start, stream: Readable.from([], { objectMode: false }) }
      }
      if (status === 206 && range?.start !== start) {
        discard(answer)
        throw notTrue(session.host, what, 'another range than the one asked for')
      }
      const length = answer.headers['content-length']
      const whole = length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length)
      const stream = Readable.from(chunks({ answer, skip }, { repository, name, start, onBytes }, both), {
        objectMode: false,
      })
      // A generator that waits for bytes is not ended by destroying its stream.
      stream.once('close', () => stop.abort(new Error('nobody wants the rest')))
      return { sizeBytes: status === 206 ? range?.sizeBytes : whole, stream }
    },
  }
}

/** Of `bytes 100-199/200`; a refusal has a star in place of the first two. */
function rangeOf({
  headers,
}: IncomingMessage): { start: number | undefined; sizeBytes: number | undefined } | undefined {
  const [, start, size] = /^bytes (?:(\d{1,15})-\d{1,15}|\*)\/(\d{1,15}|\*)$/.exec(headers['content-range'] ?? '') ?? []
  if (size === undefined) return undefined
  return { start: start === undefined ? undefined : Number(start), sizeBytes: size === '*' ? undefined : Number(size) }
}

function discard(answer: IncomingMessage): void {
  answer.on('error', () => {}).destroy()
}
