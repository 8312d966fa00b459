import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Passing, type PassingFault, pass } from './proxy-passing.ts'

/** What to do with one request on its way to the target. */
export type Fault =
  | { readonly answer: number; readonly body?: string; readonly headers?: Record<string, string> }
  | PassingFault

export interface SeenRequest {
  readonly method: string
  readonly path: string
  /** 1 for the first of this method and path. */
  readonly nth: number
  /** Of the body, so far. */
  readonly bodyBytes: number
  /** Of an answer that has passed as a whole. */
  readonly status: number | undefined
}

export interface FaultyProxy extends AsyncDisposable {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  /** Bytes of request bodies that went through. */
  bodyBytes(): number
  /** Told of every piece of a request's body that comes. It goes through when what this gives has resolved. */
  watch(listener: BodyWatcher): void
  /** Decides each request from now on; undefined lets it pass. */
  script(decide: (request: SeenRequest) => Fault | undefined): void
  /** Keeps the first request that matches from going on, until it is released. */
  hold(matches: (request: SeenRequest) => boolean): Held
}
/** Must not reject. */
export type BodyWatcher = (request: SeenRequest, bytes: number) => Promise<void> | undefined
export interface Held {
  /** Resolves when the request is there. */
  readonly reached: Promise<void>
  release(): void
}

/**
 * An HTTP proxy before one server, for the odd answers and broken lines that no real server gives on request. `streaming` passes
 * on what comes at once, in both directions at the same time; `buffering` collects each body first.
 */
export async function faultyProxy(targetUrl: string, how: Passing['how'] = 'streaming'): Promise<FaultyProxy> {
  const seen: SeenRequest[] = []
  const times = new Map<string, number>()
  let bytes = 0
  let watcher: BodyWatcher = () => undefined
  let decide: (request: SeenRequest) => Fault | undefined = () => undefined
  const holds: { matches: (request: SeenRequest) => boolean; reach: () => void; released: Promise<void> }[] = []
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url: path = '' } = incoming
    const nth = (times.get(`${method} ${path}`) ?? 0) + 1
    times.set(`${method} ${path}`, nth)
    const request = { method, path, nth, bodyBytes: 0, status: undefined as number | undefined }
    seen.push(request)
    const held = holds.findIndex(({ matches }) => matches(request))
    if (held >= 0) {
      const [{ reach, released }] = holds.splice(held, 1) as [(typeof holds)[number]]
      reach()
      await released
    }
    const fault = decide(request)
    if (fault !== undefined && 'answer' in fault) return answerItself(incoming, outgoing, fault)
    const count = (passed: number) => {
      bytes += passed
      request.bodyBytes += passed
      return watcher(request, passed)
    }
    const answered = (status: number) => {
      request.status = status
    }
    await pass(incoming, outgoing, { targetUrl, how, fault, count, answered })
  })
  const url = await listen(server)
  return {
    url,
    seen,
    bodyBytes: () => bytes,
    watch(listener) {
      watcher = listener
    },
    script(next) {
      decide = next
    },
    hold(matches) {
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      holds.push({ matches, reach: reached.resolve, released: released.promise })
      return { reached: reached.promise, release: released.resolve }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function answerItself(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Extract<Fault, { answer: number }>,
): void {
  incoming.resume()
  incoming.once('end', () => {
    outgoing.writeHead(fault.answer, fault.headers ?? {})
    outgoing.end(fault.body ?? '')
  })
}
