import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Clock } from '../../../core/clock.ts'
import type { FrameStream, StreamProgress } from '../frame-stream.ts'
import type { StreamBegin } from '../frames/frame.ts'
import { createBoundedLine } from './bounded-line.ts'
import { createBundler } from './bundler.ts'
import { type DuplexLine, openDuplexLine } from './duplex-line.ts'
import type { LineRate } from './line-rate.ts'
import { createOutbox } from './outbox.ts'

/** What all streams of a client know of the way to their target. */
export interface StreamWay {
  /** Whether answers come while a request is open. */
  duplex: 'unknown' | 'open' | 'buffered'
  readonly line: LineRate
  /** The target said that it takes bundles. */
  readonly takesBundles: () => boolean
}

/** The connections of a stream. */
export interface StreamTransport {
  /** Whether requests are blocks with sums. */
  seals(): boolean
  /** A request whose answer may come while it is open. */
  request(signal: AbortSignal): ClientRequest
  accept(response: IncomingMessage): Promise<void>
  failureOf(error: unknown): Error
  /** One request with a whole body. */
  post(body: Buffer, signal: AbortSignal): Promise<Buffer>
}

interface FrameStreamDeps {
  readonly transport: StreamTransport
  readonly way: StreamWay
  readonly begin: StreamBegin
  readonly progress: StreamProgress
  readonly clock: Clock
}

/** How long the first word of a target may take on a line that is open both ways. */
const PROBE_MS = 1_000
const SILENCE_MS = 30_000
/** How long a target that does answer may take to settle the next item. */
const STALL_MS = 5 * 60_000

/** Connects with the first item. */
export function createFrameStream(deps: FrameStreamDeps, signal: AbortSignal): FrameStream {
  const { transport, way, begin, progress, clock } = deps
  const outbox = createOutbox()
  const bundler = createBundler(way.line, way.takesBundles)
  const bounded = createBoundedLine({ begin, outbox, bundler, progress, post: transport.post })
  const stop = new AbortController()
  const over = AbortSignal.any([signal, stop.signal])
  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => undefined)
  let failure: { readonly error: unknown } | undefined
  let line: DuplexLine | undefined
  let isRunning = false
  let isScheduled = false
  let isEnding = false
  let isEnded = false

  function fail(error: unknown): void {
    if (failure !== undefined || isEnded) return
    failure = { error: signal.aborted ? signal.reason : error }
    signal.removeEventListener('abort', onAbort)
    line?.destroy(failure.error)
    stop.abort(failure.error)
    outbox.fail(failure.error)
    ended.reject(failure.error)
  }
  const onAbort = () => fail(signal.reason)
  function complete(): void {
    isEnded = true
    signal.removeEventListener('abort', onAbort)
    ended.resolve()
  }

  function connect(): DuplexLine {
    const { duplex } = way
    return openDuplexLine(
      {
        ...{ begin, outbox, bundler, progress, clock, line: way.line, request: transport.request(over) },
        ...{ accept: transport.accept, failureOf: transport.failureOf, seals: transport.seals() },
        probeMs: duplex === 'open' ? undefined : PROBE_MS,
        silenceMs: SILENCE_MS,
        stallMs: STALL_MS,
      },
      {
        learned(duplex) {
          way.duplex = duplex
        },
        closed(how) {
          line = undefined
          if (how === 'complete') return complete()
          pump()
        },
        failed: fail,
      },
    )
  }
  async function runBounded(): Promise<void> {
    isRunning = true
    try {
      await bounded.run(over)
    } catch (error) {
      return fail(error)
    } finally {
      isRunning = false
    }
    pump()
  }
  function pump(): void {
    if (failure !== undefined || isEnded) return
    if (line === undefined && way.duplex !== 'buffered' && outbox.waiting > 0) line = connect()
    if (line !== undefined && isEnding) line.finish()
    else if (line !== undefined) line.pump()
    else if (isRunning) return
    else if (outbox.waiting > 0) void runBounded()
    else if (isEnding) complete()
  }
  /** Sends of one turn go out together. */
  function pumpSoon(): void {
    if (isScheduled) return
    isScheduled = true
    queueMicrotask(() => {
      isScheduled = false
      try {
        pump()
      } catch (error) {
        fail(transport.failureOf(error))
      }
    })
  }

  if (signal.aborted) fail(signal.reason)
  else signal.addEventListener('abort', onAbort, { once: true })
  return {
    send(items) {
      if (failure !== undefined) return Promise.reject(failure.error)
      if (isEnding) return Promise.reject(new Error('the stream was ended'))
      const outcomes = outbox.send(items)
      pumpSoon()
      return outcomes
    },
    flush() {
      outbox.flush()
      pumpSoon()
    },
    end() {
      isEnding = true
      pumpSoon()
      return ended.promise
    },
    async [Symbol.asyncDispose]() {
      fail(new Error('the stream was closed'))
    },
  }
}
