import type { Readable } from 'node:stream'

/** The chunks of a body, one at a time, so that the sender waits for whoever takes them. */
export interface ChunkSource {
  /** @returns undefined at the end, or once stopped. @throws when the body broke. */
  next(): Promise<Buffer | undefined>
  /** Nothing more is taken; a `next` under way ends. The body is left as it is. */
  stop(): void
  /** Nothing more is taken; the next `next`, or the one under way, throws this. */
  fail(error: unknown): void
  readonly isStopped: boolean
}

export function chunksOf(body: Readable): ChunkSource {
  let isStopped = false
  let isGivenUp = false
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  const onWord = () => wake()
  const onError = (error: unknown) => {
    failure ??= { error }
    wake()
  }
  const onClose = () => {
    if (!body.readableEnded) failure ??= { error: new Error('the connection was closed') }
    wake()
  }
  body.on('readable', onWord).on('end', onWord).on('error', onError).on('close', onClose)
  return {
    async next() {
      for (;;) {
        if (isStopped) return undefined
        if (isGivenUp) throw failure!.error
        const chunk = body.read() as Buffer | null
        if (chunk !== null) return chunk
        if (body.readableEnded) return undefined
        if (failure !== undefined) throw failure.error
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    stop() {
      isStopped = true
      body.off('readable', onWord)
      wake()
    },
    fail(error) {
      failure ??= { error }
      isGivenUp = true
      wake()
    },
    get isStopped() {
      return isStopped
    },
  }
}
