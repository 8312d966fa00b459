import { messageOf } from '../../../core/errors.ts'
import { NotOurProtocol, RemoteRefusal } from '../../transport/failures.ts'
import { remoteText } from '../../transport/remote-text.ts'
import type { StreamProgress } from '../frame-stream.ts'
import { readTargetFrames } from '../frames/frame-reader.ts'
import type { Outbox } from './outbox.ts'

/** Reads what the target answers, and settles items by it. @throws LinkDown, NotOurProtocol, RemoteRefusal from both calls. */
export interface ReplyHandler {
  push(chunk: Buffer): void
  /** The answer ended. @returns whether its END came, so that nothing of it is missing. */
  end(): boolean
}
export interface ReplyEvents {
  credit(bytes: number): void
}

/** HTTP status and contract code of FENCED, as a refusal of the usual kind has them. */
const FENCED = [409, 250350] as const

export function createReplyHandler(outbox: Outbox, progress: StreamProgress, on: ReplyEvents): ReplyHandler {
  const reader = readTargetFrames()
  let ended = false
  const parsed = <T>(parse: () => T): T => {
    try {
      return parse()
    } catch (error) {
      throw new NotOurProtocol(`its answer cannot be read: ${remoteText(messageOf(error))}`, { cause: error })
    }
  }
  return {
    push(chunk) {
      for (const frame of parsed(() => reader.push(chunk))) {
        switch (frame.type) {
          case 'ack':
            if (outbox.settle(frame) > 0) progress.acknowledged()
            break
          case 'credit':
            on.credit(frame.bytes)
            break
          case 'ping':
            break
          case 'fenced':
            throw new RemoteRefusal(`the stream was taken over with fence ${frame.fence} (${FENCED[1]})`, ...FENCED)
          case 'refused':
            throw new RemoteRefusal(`${remoteText(frame.reason)} (${frame.code})`, frame.status, frame.code)
          case 'end':
            ended = true
        }
      }
    },
    end() {
      parsed(() => reader.end())
      return ended
    },
  }
}
