import type { ClientRequest } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { PullSource } from '../../core/pull-source.ts'
import { writePulled } from '../transport/pulled-body.ts'

/** Bytes that can be sent again: each `open` begins at the first of them. */
export interface OutgoingBody {
  readonly sizeBytes: number
  open(signal: AbortSignal): Promise<PullSource>
}

/** Sends a body of exactly the size that was announced. */
export function createPouring(body: OutgoingBody, clock: Clock) {
  const state = {
    /** It waits for the source, or for a limit, and not for the other side. */
    waitsForUs: false,
    sourceFailure: undefined as unknown,
    /** When the connection takes no more, what the other side said of it is what counts. */
    async into(outgoing: ClientRequest, signal: AbortSignal, answered: Promise<unknown>): Promise<void> {
      try {
        await pour(outgoing, signal)
      } catch (error) {
        if (state.sourceFailure !== undefined) throw error
        await answered
      }
    },
  }
  return state

  async function ours<T>(work: () => Promise<T>): Promise<T> {
    state.waitsForUs = true
    try {
      return await work()
    } catch (error) {
      state.sourceFailure = error
      throw error
    } finally {
      state.waitsForUs = false
    }
  }

  async function pour(outgoing: ClientRequest, signal: AbortSignal): Promise<void> {
    const source = await ours(() => body.open(signal))
    let left = body.sizeBytes
    const exact: PullSource = {
      read: (into, aborted) =>
        ours(async () => {
          const length = await source.read(into, aborted)
          left -= length
          if (left < 0 || (left > 0 && length < into.length))
            throw new Error(`a body of ${body.sizeBytes} bytes has another length`)
          return length
        }),
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    }
    await writePulled(exact, outgoing, clock, signal)
  }
}
