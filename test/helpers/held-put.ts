import { request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { ServerProcess } from './server-process.ts'

const CHUNK_BYTES = 64 * 1024

/** A PUT that is under way, on a connection of its own. */
export interface HeldPut {
  /** Of the whole answer; undefined: the server died first. */
  readonly status: Promise<number | undefined>
  /** The body was given away as far as it should be held back. */
  readonly held: Promise<void>
  /** All of the body was given away. */
  readonly given: Promise<void>
  /** Lets the rest of a held body go, and whoever waits for it. */
  release(): void
}

export interface PutOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** 0 to 1: this share of the body is given away, the rest waits for `release`. */
  readonly holdAt?: number
}

/** `path` with its query, encoded. */
export function put(server: ServerProcess, path: string, bytes: Buffer, options: PutOptions = {}): HeldPut {
  const held = Promise.withResolvers<void>()
  const given = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const { headers, holdAt } = options

  async function* body() {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      if (holdAt !== undefined && at >= holdAt * bytes.length) {
        held.resolve()
        await released.promise
      }
      yield bytes.subarray(at, at + CHUNK_BYTES)
    }
    given.resolve()
  }
  async function send(): Promise<number | undefined> {
    const login = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`
    const outgoing = request(`${server.url}${path}`, {
      method: 'PUT',
      agent: false,
      headers: { authorization: login, 'content-length': bytes.length, ...headers },
    })
    const answered = new Promise<number | undefined>((resolve, reject) => {
      outgoing.on('error', reject)
      outgoing.on('response', (answer) => text(answer).then(() => resolve(answer.statusCode), reject))
    })
    try {
      const [status] = await Promise.all([answered, pipeline(Readable.from(body(), { objectMode: false }), outgoing)])
      return status
    } catch {
      return undefined
    } finally {
      for (const { resolve } of [held, given, released]) resolve()
    }
  }
  return { status: send(), held: held.promise, given: given.promise, release: released.resolve }
}
