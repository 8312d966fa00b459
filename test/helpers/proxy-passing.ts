import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { StopPlace } from './stop-places.ts'

/** What happens to a request that passes. */
export type PassingFault =
  /** Both sides lose the connection after so many bytes of the request's body; 0: before any. */
  | { readonly cutAfterBytes: number }
  /** One bit of the byte at this offset of the request's body, or of the answer's, is turned over. */
  | { readonly flip: { readonly of: StopPlace['of']; readonly at: number; readonly bit: number; flipped?(): void } }
  /** The target gets it and answers; then this is called, and the answer is lost. */
  | { afterAnswer(): Promise<void> }
  /** Nothing passes beyond the place, in its direction, until this has resolved. */
  | { readonly at: StopPlace; reached(): Promise<'cut' | 'go on'> }

export interface Passing {
  readonly targetUrl: string
  /** `buffering`: a body goes on when all of it is there, as behind many reverse proxies. */
  readonly how: 'streaming' | 'buffering'
  readonly fault: PassingFault | undefined
  /** Bytes of the request's body that came and go through when this has resolved. */
  count(bytes: number): Promise<void> | undefined
  /** The target's answer came as a whole, and is passed on unless the fault says otherwise. */
  answered(status: number): void
}

/** Both directions at once: an answer may begin, and end, while the request's body still comes. */
export async function pass(incoming: IncomingMessage, outgoing: ServerResponse, passing: Passing): Promise<void> {
  const { targetUrl, how, fault, count } = passing
  const { method, url, headers } = incoming
  incoming.on('error', () => undefined)
  const body = how === 'buffering' ? await buffer(incoming).catch(() => undefined) : incoming
  if (body === undefined) return
  const onward = forward(targetUrl + url, { method: method!, headers, agent: false })
  const cut = () => {
    onward.destroy()
    incoming.socket.destroy()
  }
  let answered = false
  onward.on('error', () => {
    if (!answered) return incoming.socket.destroy()
    // The target has said why it takes no more: the rest of the body goes nowhere, and the answer arrives.
    incoming.unpipe()
    incoming.resume()
  })
  // A client that gives up in the middle: the target must learn of it.
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) onward.destroy()
  })
  // Also when it has the whole answer, and will never send the rest of its body.
  const gone = () => {
    if (!incoming.complete) onward.destroy()
  }
  incoming.socket.once('close', gone)
  onward.once('close', () => incoming.socket.off('close', gone))
  if (fault !== undefined && 'cutAfterBytes' in fault && fault.cutAfterBytes === 0) return cut()

  onward.on('response', async (response) => {
    answered = true
    response.on('error', () => incoming.socket.destroy())
    response.on('end', () => passing.answered(response.statusCode!))
    if (fault !== undefined && 'afterAnswer' in fault) {
      response.resume().once('end', () => fault.afterAnswer().finally(cut))
      return
    }
    outgoing.writeHead(response.statusCode!, response.headers)
    if (how === 'buffering') return outgoing.end(await buffer(response).catch(() => cut()))
    outgoing.flushHeaders()
    response
      .pipe(flippedIn(fault, 'answer'))
      .pipe(stoppedAt(fault, 'answer', cut))
      .pipe(outgoing)
  })
  if (body instanceof Buffer) {
    await count(body.length)
    onward.end(body)
    return
  }
  if (headers['transfer-encoding'] !== undefined) onward.flushHeaders()
  incoming
    .pipe(counted(fault, count, cut))
    .pipe(flippedIn(fault, 'request'))
    .pipe(stoppedAt(fault, 'request', cut))
    .pipe(onward)
}

/** Counts and cuts. */
function counted(fault: PassingFault | undefined, count: Passing['count'], cut: () => void): Transform {
  let passed = 0
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      const room =
        fault !== undefined && 'cutAfterBytes' in fault ? fault.cutAfterBytes - passed : Number.POSITIVE_INFINITY
      passed += chunk.length
      await count(Math.min(room, chunk.length))
      if (room > chunk.length) return done(null, chunk)
      done(null, chunk.subarray(0, room))
      setImmediate(cut)
    },
  })
}

function stoppedAt(fault: PassingFault | undefined, direction: StopPlace['of'], cut: () => void): Transform {
  let stop = fault !== undefined && 'at' in fault && fault.at.of === direction ? fault : undefined
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      const at = stop?.at.stopAt(chunk)
      if (stop === undefined || at === undefined) return done(null, chunk)
      const { reached } = stop
      stop = undefined
      this.push(chunk.subarray(0, at))
      if ((await reached().catch(() => 'cut')) === 'cut') return cut()
      done(null, chunk.subarray(at))
    },
  })
}

function flippedIn(fault: PassingFault | undefined, direction: StopPlace['of']): Transform {
  const flip = fault !== undefined && 'flip' in fault && fault.flip.of === direction ? fault.flip : undefined
  let passed = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const at = flip === undefined ? -1 : flip.at - passed
      passed += chunk.length
      if (flip === undefined || at < 0 || at >= chunk.length) return done(null, chunk)
      flip.flipped?.()
      done(null, flipped(chunk, at, flip.bit))
    },
  })
}

function flipped(chunk: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(chunk)
  copy[at] = copy[at]! ^ (1 << bit)
  return copy
}
