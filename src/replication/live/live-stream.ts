import type { Clock } from '../../core/clock.ts'
import type { FrameStream } from '../../remotes/cluster/frame-stream.ts'

/** The stream of a link that follows changes: open as long as something comes, and opened again when it does. */
export interface LiveStream {
  /** What is sent through it is settled at once. */
  readonly stream: FrameStream
  /** Closes it when nothing was sent for a while: a target serves a limited number of them. */
  rest(): Promise<void>
}

const IDLE_MS = 30_000

export function createLiveStream(clock: Clock, open: () => FrameStream): LiveStream {
  let current: FrameStream | undefined
  let usedAt = 0
  return {
    stream: {
      send(items) {
        usedAt = clock.now()
        current ??= open()
        const answers = current.send(items)
        current.flush()
        return answers
      },
      flush: () => current?.flush(),
      end: async () => current?.end(),
      [Symbol.asyncDispose]: async () => current?.[Symbol.asyncDispose](),
    },
    async rest() {
      if (current === undefined || clock.now() - usedAt < IDLE_MS) return
      const idle = current
      current = undefined
      await idle.end()
    },
  }
}
