import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Transform } from 'node:stream'

/** What to do with one request on its way to the target. */
export type Fault =
  | { readonly answer: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Both sides lose the connection after so many bytes of the request's body; 0: before any. */
  | { readonly cutAfterBytes: number }
  /** One bit of the body's byte at this offset is turned over. */
  | { readonly flipByteAt: number }
  /** The target gets it and answers; then this is called, and the answer is lost. */
  | { afterAnswer(): Promise<void> }

export interface SeenRequest {
  readonly method: string
  readonly path: string
  /** 1 for the first of this method and path. */
  readonly nth: number
}

export interface FaultyProxy extends AsyncDisposable {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  /** Bytes of request bodies that went through. */
  bodyBytes(): number
  /** Decides each request from now on; undefined lets it pass. */
  script(decide: (request: SeenRequest) => Fault | undefined): void
  /** Keeps the first request that matches from going on, until it is released. */
  hold(matches: (request: SeenRequest) => boolean): Held
}
export interface Held {
  /** Resolves when the request is there. */
  readonly reached: Promise<void>
  release(): void
}

/** An HTTP proxy before one server, for the odd answers and broken lines that no real server gives on request. */
export async function faultyProxy(targetUrl: string): Promise<FaultyProxy> {
  const seen: SeenRequest[] = []
  let bytes = 0
  let decide: (request: SeenRequest) => Fault | undefined = () => undefined
  const holds: { matches: (request: SeenRequest) => boolean; reach: () => void; released: Promise<void> }[] = []
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url: path = '' } = incoming
    const nth = seen.filter((one) => one.method === method && one.path === path).length + 1
    const request = { method, path, nth }
    seen.push(request)
    const held = holds.findIndex(({ matches }) => matches(request))
    if (held >= 0) {
      const [{ reach, released }] = holds.splice(held, 1) as [(typeof holds)[number]]
      reach()
      await released
    }
    const fault = decide(request)
    if (fault !== undefined && 'answer' in fault) return answerItself(incoming, outgoing, fault)
    pass(targetUrl, incoming, outgoing, fault, (count) => {
      bytes += count
    })
  })
  const url = await listen(server)
  return {
    url,
    seen,
    bodyBytes: () => bytes,
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

function pass(
  targetUrl: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Exclude<Fault, { answer: number }> | undefined,
  count: (bytes: number) => void,
): void {
  const { method, url, headers } = incoming
  const onward = forward(targetUrl + url, { method: method!, headers, agent: false })
  const cut = () => {
    onward.destroy()
    incoming.socket.destroy()
  }
  let passed = 0
  const filter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const room =
        fault !== undefined && 'cutAfterBytes' in fault ? fault.cutAfterBytes - passed : Number.POSITIVE_INFINITY
      const at = fault !== undefined && 'flipByteAt' in fault ? fault.flipByteAt - passed : -1
      const changed = at >= 0 && at < chunk.length ? flipped(chunk, at) : chunk
      passed += chunk.length
      count(Math.min(room, chunk.length))
      if (room > chunk.length) return done(null, changed)
      done(null, changed.subarray(0, room))
      setImmediate(cut)
    },
  })
  onward.on('error', () => incoming.socket.destroy())
  incoming.on('error', () => onward.destroy())
  if (fault !== undefined && 'cutAfterBytes' in fault && fault.cutAfterBytes === 0) {
    cut()
    return
  }
  onward.on('response', (response) => {
    if (fault !== undefined && 'afterAnswer' in fault) {
      response.resume().once('end', () => fault.afterAnswer().finally(cut))
      return
    }
    outgoing.writeHead(response.statusCode!, response.headers)
    response.pipe(outgoing)
  })
  incoming.pipe(filter).pipe(onward)
}

function flipped(chunk: Buffer, at: number): Buffer {
  const copy = Buffer.from(chunk)
  copy[at] = copy[at]! ^ 1
  return copy
}
