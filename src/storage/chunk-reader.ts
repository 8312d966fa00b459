import type { Readable } from 'node:stream'
import { AppError } from '../core/errors.ts'

/** Takes one chunk. A promise means: I am full, send nothing before it resolves. */
export type TakeChunk = (chunk: Buffer) => Promise<void> | undefined

/**
 * Hands every chunk of `source` to `take`, in order, until it ends. Unlike `pipeline` it leaves the source alone when it fails:
 * the source of an upload is a request, and its connection is still needed for the answer. When it settles, `take` is idle.
 * @throws what `take` throws, the source's own error, the signal's reason; RECEIVE_FAILED when the source closed before its end.
 */
export function readChunks(source: Readable, take: TakeChunk, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let settled = false
    let full: Promise<void> | undefined
    const settle = (act: () => void) => {
      if (settled) return
      settled = true
      source.off('data', onData).off('end', onEnd).off('close', onClose)
      signal.removeEventListener('abort', onAbort)
      act()
    }
    const fail = (error: unknown) =>
      settle(() => {
        source.pause()
        const giveUp = () => reject(error)
        if (full === undefined) giveUp()
        else full.then(giveUp, giveUp)
      })
    const onData = (data: Buffer | string) => {
      try {
        full = take(typeof data === 'string' ? Buffer.from(data) : data)
        if (full === undefined) return
        source.pause()
        full.then(() => {
          if (!settled) source.resume()
        }, fail)
      } catch (error) {
        fail(error)
      }
    }
    // The end may come while the last chunk is still being taken.
    const onEnd = () => {
      source.off('close', onClose)
      if (full === undefined) settle(resolve)
      else full.then(() => settle(resolve), fail)
    }
    const onClose = () => fail(source.errored ?? closedEarly())
    const onAbort = () => fail(signal.reason)
    if (signal.aborted) return reject(signal.reason)
    if (source.destroyed) return reject(source.errored ?? closedEarly())
    signal.addEventListener('abort', onAbort)
    // The error listener stays: a source that breaks after we gave it up must not end the process.
    source.on('error', fail).on('end', onEnd).on('close', onClose).on('data', onData).resume()
  })
}

const closedEarly = () => new AppError('RECEIVE_FAILED', 'The upload broke off: its source closed before the end', {})
