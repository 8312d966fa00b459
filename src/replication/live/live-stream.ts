import type { Clock } from '../../core/clock.ts'
import type { FrameStream } from '../../remotes/cluster/frame-stream.ts'
import type { StreamPlace, StreamPlaces } from '../limits/stream-places.ts'

/** The stream of a link that follows changes: open as long as something comes, and opened again when it does. */
export interface LiveStream {
  /** What is sent through it is settled at once. */
  readonly stream: FrameStream
  /** Closes it when nothing was sent for a while: a target serves a limited number of them. */
  rest(): Promise<void>
}

interface LiveStreamDeps {
  readonly clock: Clock
  /** Of the target: hundreds of links share them. */
  readonly places: StreamPlaces
  open(): FrameStream
}

interface Line {
  readonly stream: FrameStream
  readonly place: StreamPlace
}

const IDLE_MS = 30_000

/** @param signal ends the wait for a place; streams have it already. */
export function createLiveStream({ clock, places, open }: LiveStreamDeps, signal: AbortSignal): LiveStream {
  let current: Promise<Line> | undefined
  let usedAt = 0
  let sends = 0

  async function close(closed: Promise<Line>): Promise<void> {
    if (current === closed) current = undefined
    const { stream, place } = await closed
    try {
      await stream.end()
    } finally {
      place.leave()
    }
  }
  function take(): Promise<Line> {
    // What breaks while nothing is on its way costs nobody anything.
    const yieldIt = (): Promise<void> => close(line).catch(() => undefined)
    const line: Promise<Line> = places.enter(yieldIt, signal).then((place) => ({ stream: open(), place }))
    return line
  }
  const flush = () => void current?.then(({ stream }) => stream.flush()).catch(() => undefined)

  return {
    stream: {
      async send(items) {
        usedAt = clock.now()
        sends++
        current ??= take()
        const line = current
        try {
          const { stream, place } = await line
          place.works()
          const answers = stream.send(items)
          stream.flush()
          return await answers
        } finally {
          sends--
          void line.then(({ place }) => sends === 0 && place.rests()).catch(() => undefined)
        }
      },
      flush,
      end: async () => current && close(current),
      async [Symbol.asyncDispose]() {
        const line = await current?.catch(() => undefined)
        await line?.stream[Symbol.asyncDispose]()
        line?.place.leave()
      },
    },
    async rest() {
      if (current !== undefined && sends === 0 && clock.now() - usedAt >= IDLE_MS) await close(current)
    },
  }
}
