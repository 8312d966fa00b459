import { type AnsweringThread, createAnsweringThread } from '../../../core/answering-thread.ts'
import { FRAME_BYTES } from './frame.ts'
import type { CheckWork, FrameAnswer, FrameQuestion, LaneWork } from './frame-work.ts'
import { brokenObject } from './object-seal.ts'

/** A frame, plain or sealed. */
export const SLOT_BYTES = FRAME_BYTES + 4_096
export const SLOTS = 6
const MEMORY_BYTES = SLOTS * SLOT_BYTES
/** Kept for the next who needs one. */
const MOST_FREE = 8

/**
 * Threads that hash, seal and open the frames of large entries. They start with the first of them; bytes do not pass between threads,
 * but for those that `give` gives.
 */
export interface FrameThreads extends AsyncDisposable {
  /** Lanes that are busy at the same time with some gain. */
  readonly count: number
  begin(work: LaneWork): FrameLane
  /** For entries of one frame each, as many as fit in its memory. */
  checker(): FrameChecker
}

/** `SLOTS` slots of memory that the threads see; nothing may be under way in it when it is disposed, but for questions. */
interface WithMemory extends Disposable {
  readonly memory: Buffer
}
/** Frames of one entry, one after another. After an error it is void. Positions are in its memory. */
export interface FrameLane extends WithMemory {
  /** @returns bytes of the frame that lies at `to`. */
  seal(from: number, length: number, to: number, position: 'more' | 'last'): Promise<number>
  /** @throws AppError ARTIFACT_BROKEN. */
  give(from: number, length: number, position: 'more' | 'last'): Promise<Buffer>
  /** @returns how many bytes it held. @throws AppError ARTIFACT_BROKEN. */
  verify(from: number, length: number, position: 'more' | 'last'): Promise<number>
  /** 32 bytes, of all plain bytes so far; undefined without hashing. */
  digest(): Promise<Uint8Array | undefined>
}
export interface FrameChecker extends WithMemory {
  /** @returns numbers of the entries that are not what was written. */
  check(work: CheckWork): Promise<readonly number[]>
}

type Thread = AnsweringThread<FrameQuestion, FrameAnswer>

export function createFrameThreads(count: number): FrameThreads {
  const threads: Thread[] = Array.from({ length: count }, () =>
    createAnsweringThread(
      new URL('./frame-thread-entry.ts', import.meta.url),
      { resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 } },
      'A thread that seals backups has ended',
    ),
  )
  const users = new Map<Thread, number>(threads.map((thread) => [thread, 0]))
  const free: SharedArrayBuffer[] = []
  let begun = 0

  /** A thread for a user, and memory; a question that is under way may still write to it after its user has gone. */
  function borrow() {
    const thread = threads.reduce((least, other) => (users.get(other)! < users.get(least)! ? other : least))
    const shared = free.pop() ?? new SharedArrayBuffer(MEMORY_BYTES)
    const asked = new Set<Promise<unknown>>()
    users.set(thread, users.get(thread)! + 1)
    return {
      thread,
      shared,
      memory: Buffer.from(shared),
      ask(question: FrameQuestion): Promise<FrameAnswer> {
        const answer = thread.ask(question)
        asked.add(answer)
        answer.catch(() => undefined).finally(() => asked.delete(answer))
        return answer
      },
      giveBack() {
        users.set(thread, users.get(thread)! - 1)
        void Promise.allSettled(asked).then(() => {
          if (free.length < MOST_FREE) free.push(shared)
        })
      },
    }
  }
  return {
    count,
    begin(work) {
      const { thread, shared, memory, ask, giveBack } = borrow()
      const lane = ++begun
      const started = ask({ ask: 'begin', lane, memory: shared, ...work })
      const told = async (question: FrameQuestion): Promise<FrameAnswer> => {
        const [answer] = await Promise.all([ask(question), started])
        if (answer.broken === true) throw brokenObject('its bytes are not what was written')
        return answer
      }
      return {
        memory,
        async seal(from, length, to, position) {
          return (await told({ ask: 'seal', lane, from, length, to, position })).storedBytes!
        },
        async give(from, length, position) {
          const { plain } = await told({ ask: 'open', lane, from, length, position, plain: 'give' })
          return Buffer.from(plain!.buffer, plain!.byteOffset, plain!.byteLength)
        },
        async verify(from, length, position) {
          return (await told({ ask: 'open', lane, from, length, position, plain: 'drop' })).plainBytes!
        },
        async digest() {
          return (await told({ ask: 'digest', lane })).digest
        },
        [Symbol.dispose]() {
          thread.tell({ ask: 'end', lane })
          giveBack()
        },
      }
    },
    checker() {
      const { shared, memory, ask, giveBack } = borrow()
      return {
        memory,
        async check(work) {
          return (await ask({ ask: 'check', memory: shared, ...work })).brokenEntries!
        },
        [Symbol.dispose]: giveBack,
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.close()))
    },
  }
}
