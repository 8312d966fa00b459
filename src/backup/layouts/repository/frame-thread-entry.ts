// What runs in the threads of `frame-threads.ts`: it hashes, seals and opens frames in memory that it shares with the main thread.
import { createHash, type Hash, hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { ThreadAnswer } from '../../../core/answering-thread.ts'
import { FRAME_BYTES, openFrame, sealFrame } from './frame.ts'
import type { CheckedEntry, CheckWork, FrameAnswer, FrameQuestion, LaneWork } from './frame-work.ts'

interface Lane {
  readonly work: LaneWork
  readonly bytes: Buffer
  readonly hash: Hash | undefined
  /** Of the next frame. */
  offset: number
}

const lanes = new Map<number, Lane>()
/** Of frames whose bytes nobody wants. */
const scratch = Buffer.allocUnsafeSlow(FRAME_BYTES)

parentPort!.on('message', (question: FrameQuestion & { readonly number: number }) => {
  if (question.ask === 'end') {
    lanes.delete(question.lane)
    return
  }
  const answer = answerTo(question)
  const given = 'value' in answer ? answer.value.plain : undefined
  parentPort!.postMessage(
    { number: question.number, ...answer } satisfies ThreadAnswer<FrameAnswer>,
    given === undefined ? [] : [given.buffer],
  )
})

type Asked = Exclude<FrameQuestion, { ask: 'end' }>

function answerTo(question: Asked): { value: FrameAnswer } | { failure: string } {
  try {
    return { value: valueFor(question) }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

function valueFor(question: Asked): FrameAnswer {
  if (question.ask === 'check') return check(question.memory, question)
  if (question.ask === 'begin') {
    const { lane, memory, offset, hashing } = question
    const hashed = hashing === 'sha256' ? createHash('sha256') : undefined
    lanes.set(lane, { work: question, bytes: Buffer.from(memory), hash: hashed, offset })
    return {}
  }
  const lane = lanes.get(question.lane)
  if (lane === undefined) throw new Error('A thread does not know what it was asked about')
  if (question.ask === 'seal') return seal(lane, question)
  if (question.ask === 'open') return open(lane, question)
  return lane.hash === undefined ? {} : { digest: lane.hash.copy().digest() }
}

function seal(lane: Lane, question: Extract<Asked, { ask: 'seal' }>): FrameAnswer {
  const { work, bytes, offset } = lane
  const plain = bytes.subarray(question.from, question.from + question.length)
  lane.hash?.update(plain)
  const place = { about: work.about, offset, position: question.position }
  const storedBytes = sealFrame(work.seal, place, plain, work.compression, bytes.subarray(question.to))
  lane.offset += storedBytes
  return { storedBytes }
}

function open(lane: Lane, question: Extract<Asked, { ask: 'open' }>): FrameAnswer {
  const { work, bytes, offset } = lane
  const frame = bytes.subarray(question.from, question.from + question.length)
  const into = question.plain === 'give' ? Buffer.allocUnsafeSlow(FRAME_BYTES) : scratch
  const plainBytes = opened(() =>
    openFrame(work.seal, { about: work.about, offset, position: question.position }, frame, into),
  )
  if (plainBytes === undefined) return { broken: true }
  lane.offset += question.length
  const plain = into.subarray(0, plainBytes)
  lane.hash?.update(plain)
  return question.plain === 'give' ? { plainBytes, plain: plain as Uint8Array<ArrayBuffer> } : { plainBytes }
}

function check(memory: SharedArrayBuffer, { seal: sealed, start, entries }: CheckWork): FrameAnswer {
  const bytes = Buffer.from(memory)
  const isWhole = ({ key, offset, storedBytes, plainBytes, hashing }: CheckedEntry): boolean => {
    const frame = bytes.subarray(offset - start, offset - start + storedBytes)
    const length = opened(() => openFrame(sealed, { about: key, offset, position: 'last' }, frame, scratch))
    if (length !== plainBytes) return false
    return hashing === 'none' || hash('sha256', scratch.subarray(0, length), 'buffer').equals(key.subarray(0, 32))
  }
  return { brokenEntries: entries.flatMap((entry, number) => (isWhole(entry) ? [] : [number])) }
}

/** @returns undefined when the frame is damaged. */
function opened(work: () => number): number | undefined {
  try {
    return work()
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ARTIFACT_BROKEN') return undefined
    throw error
  }
}
