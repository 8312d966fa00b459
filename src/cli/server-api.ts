import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { json, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../core/errors.ts'
import { CliFailure, EXIT, type ExitCode } from './cli-failure.ts'

/** Where requests go, and as whom. */
export interface Connection {
  readonly url: string
  readonly user: string | undefined
  /** A password or a token. */
  readonly secret: string | undefined
}

export interface Sending {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: { readonly stream: Readable; readonly sizeBytes: number }
}

/** The server's HTTP API. All refusals are `CliFailure`s. */
export interface ServerApi {
  readonly url: string
  readonly user: string | undefined
  /** A call of the management API: `data` of its envelope. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>
  /** A call with a raw body or a raw answer. The caller reads or destroys the answer. */
  send(method: string, path: string, sending?: Sending): Promise<IncomingMessage>
}

interface Envelope {
  readonly code: number
  readonly message: string | null
  readonly data: unknown
}

/** Codes of what is not there: projects, repositories, nodes, packages, versions, users, roles, permissions. */
const NOT_FOUND: ReadonlySet<number> = new Set([
  251004, 251006, 251010, 251017, 251019, 250202, 250205, 250208, 250306, 250310,
])

export function connectServer({ url, user, secret }: Connection, signal: AbortSignal): ServerApi {
  const base = parseUrl(url)
  const open = base.protocol === 'https:' ? httpsRequest : httpRequest
  const authorization =
    user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:${secret ?? ''}`).toString('base64')}` }

  async function send(method: string, path: string, { headers, body }: Sending = {}): Promise<IncomingMessage> {
    const length = body === undefined ? {} : { 'content-length': body.sizeBytes, expect: '100-continue' }
    const target = new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base)
    const outgoing = open(target, { method, signal, headers: { ...authorization, ...length, ...headers } })
    try {
      return await answerOf(outgoing, body?.stream)
    } catch (error) {
      // What broke the body is the cause, not the connection that it broke in turn.
      if (body?.stream.errored instanceof CliFailure) throw body.stream.errored
      throw new CliFailure(`Cannot reach ${base.origin}: ${messageOf(error)}`, EXIT.unreachable)
    }
  }

  return {
    url,
    user,
    send,
    async call<T>(method: string, path: string, body?: unknown) {
      const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
      const headers =
        content === undefined ? {} : { 'content-type': 'application/json', 'content-length': content.length }
      const outgoing = open(new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base), {
        ...{ method, signal },
        headers: { ...authorization, ...headers },
      })
      outgoing.end(content)
      const answer = await answered(outgoing).catch((error: unknown) => {
        throw new CliFailure(`Cannot reach ${base.origin}: ${messageOf(error)}`, EXIT.unreachable)
      })
      return (await dataOf(answer)) as T
    },
  }
}

/** `data` of an envelope. @throws CliFailure for a refusal, and for what is no envelope. */
export async function dataOf(answer: IncomingMessage): Promise<unknown> {
  const status = answer.statusCode ?? 0
  if (!(answer.headers['content-type'] ?? '').includes('json')) {
    const shown = (await text(answer)).slice(0, 200)
    throw new CliFailure(`What answers is no Entrepot: status ${status}, ${shown}`, EXIT.unreachable)
  }
  const { code, message, data } = (await json(answer)) as Envelope
  if (status < 300 && code === 0) return data
  throw new CliFailure(message ?? `The server answered ${status}`, exitCodeOf(status, code), code)
}

function exitCodeOf(status: number, code: number): ExitCode {
  if (status === 401 || status === 403) return EXIT.denied
  return NOT_FOUND.has(code) || status === 404 ? EXIT.notFound : EXIT.failed
}

/** The body is sent once the server invites it, so that a refusal comes before the bytes go. */
async function answerOf(outgoing: ClientRequest, body: Readable | undefined): Promise<IncomingMessage> {
  const answer = answered(outgoing)
  if (body === undefined) outgoing.end()
  else {
    outgoing.flushHeaders()
    outgoing.once('continue', () => {
      // The answer tells what went wrong; a pipe that broke only follows from it.
      pipeline(body, outgoing).catch((error) => outgoing.destroy(error))
    })
  }
  return answer.finally(() => body?.destroy())
}

const answered = (outgoing: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
  })

function parseUrl(url: string): URL {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CliFailure(`${url} is no address of a server, such as http://localhost:8040`, EXIT.usage)
  }
  return new URL(url)
}

/** `/a b/ü#` → `/a%20b/%C3%BC%23`. */
export const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/')
