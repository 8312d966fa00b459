import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { MAX_PING_ANSWER_BYTES, PING_ANSWER, PING_REQUEST } from './tunnel-protocol.ts'

/** A connection of an edge that waits to be used. */
export interface IdleTunnel {
  /** Whether it may be taken at this moment. */
  readonly isFree: boolean
  /** Gives the socket away: nothing of ours listens to it any more but to its errors. */
  take(): Socket
  destroy(): void
}

interface IdleTunnelDeps {
  readonly socket: Socket
  readonly clock: Clock
  readonly pingMs: number
  readonly answerMs: number
  /** It may be taken again after a ping. */
  onFree(): void
  /** It broke, did not answer, or said something that nobody asked for. */
  onGone(): void
}

/** Asks every `pingMs` whether the other end is there, which keeps NATs and proxies between us from forgetting the connection. */
export function watchIdleTunnel({ socket, clock, pingMs, answerMs, onFree, onGone }: IdleTunnelDeps): IdleTunnel {
  const over = new AbortController()
  let answer = ''
  let isAsked = false

  const onData = (chunk: Buffer) => {
    answer += chunk.toString('latin1')
    if (
      !isAsked ||
      answer.length > MAX_PING_ANSWER_BYTES ||
      !PING_ANSWER.startsWith(answer.slice(0, PING_ANSWER.length))
    ) {
      return gone()
    }
    if (!answer.endsWith('\r\n\r\n')) return
    isAsked = false
    answer = ''
    onFree()
  }
  function release(): void {
    over.abort()
    socket.off('data', onData).off('close', gone).off('end', gone)
  }
  function gone(): void {
    if (over.signal.aborted) return
    release()
    socket.destroy()
    onGone()
  }
  async function ping(): Promise<void> {
    for (;;) {
      await clock.sleep(pingMs, over.signal)
      isAsked = true
      socket.write(PING_REQUEST)
      await clock.sleep(answerMs, over.signal)
      if (isAsked) return gone()
    }
  }

  socket.on('error', () => {})
  socket.on('data', onData).once('close', gone).once('end', gone)
  ping().catch(() => {})
  return {
    get isFree() {
      return !isAsked
    },
    take() {
      release()
      return socket
    },
    destroy: gone,
  }
}
