// What runs in the thread of `hash-thread.ts`: it reads ranges of files and hashes them, one question after another, until it is ended.
import { readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import type { ThreadAnswer } from '../../core/answering-thread.ts'
import { createRunningHashes, type HashValues, type RunningHashes } from '../running-hashes.ts'
import type { HashQuestion } from './hash-thread.ts'

interface Running {
  readonly hashes: RunningHashes
  /** How many bytes are in them. */
  at: number
}

/** Stays in the processor's cache from the reading to the hashing. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024)
const running = new Map<number, Running>()

parentPort!.on('message', (question: HashQuestion & { readonly number: number }) => {
  if (question.ask === 'drop') running.delete(question.hash)
  else parentPort!.postMessage({ number: question.number, ...answerTo(question) } satisfies ThreadAnswer<HashValues>)
})

function answerTo(question: Exclude<HashQuestion, { ask: 'drop' }>): { value: HashValues } | { failure: string } {
  try {
    return { value: valuesFor(question) }
  } catch (error) {
    running.delete(question.hash)
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

function valuesFor(question: Exclude<HashQuestion, { ask: 'drop' }>): HashValues {
  const { hash } = question
  if (question.ask === 'read' && question.from === 0) {
    running.set(hash, { hashes: createRunningHashes(question.names), at: 0 })
  }
  const known = running.get(hash)
  const expected = question.ask === 'read' ? question.from : question.length
  if (known?.at !== expected) throw new Error(`A hash has ${known?.at ?? 'lost its'} bytes instead of ${expected}`)
  if (question.ask === 'values') return known.hashes.values()
  while (known.at < question.to) {
    const count = readSync(question.fd, buffer, 0, Math.min(buffer.length, question.to - known.at), known.at)
    if (count === 0) throw new Error('A file is shorter than it was')
    known.hashes.update(buffer.subarray(0, count))
    known.at += count
  }
  return {}
}
