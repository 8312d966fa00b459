import type { WorkerOptions } from 'node:worker_threads'
import { startThread } from './start-thread.ts'

/** What a thread says to a question of that number. */
export type ThreadAnswer<Value> = { readonly number: number } & (
  | { readonly value: Value }
  | { readonly failure: string }
)

/** A thread that answers questions one after another. It starts with the first of them, and only a question keeps the process alive. */
export interface AnsweringThread<Question extends object, Value> {
  /** Questions without an answer so far. */
  readonly waiting: number
  /** @throws Error with the thread's words, or that it has ended; the next question starts another. */
  ask(question: Question): Promise<Value>
  /** Nobody waits for an answer, and there is none. A thread that was not started is not told. */
  tell(question: Question): void
  close(): Promise<void>
}

/** Of what is told, not asked. */
const NO_ANSWER = 0

/** @param ended in its error. */
export function createAnsweringThread<Question extends object, Value>(
  entry: URL,
  options: WorkerOptions,
  ended: string,
): AnsweringThread<Question, Value> {
  const waiting = new Map<number, PromiseWithResolvers<Value>>()
  let worker: ReturnType<typeof startThread> | undefined
  let asked = NO_ANSWER

  function start(): ReturnType<typeof startThread> {
    const started = startThread(entry, options)
    started.on('message', (answer: ThreadAnswer<Value>) => {
      const { resolve, reject } = waiting.get(answer.number)!
      waiting.delete(answer.number)
      if (waiting.size === 0) started.unref()
      if ('value' in answer) resolve(answer.value)
      else reject(new Error(answer.failure))
    })
    const lose = (error: Error) => {
      if (worker !== started) return
      worker = undefined
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    }
    started.on('error', lose)
    started.on('exit', () => lose(new Error(ended)))
    return started
  }

  return {
    get waiting() {
      return waiting.size
    },
    ask(question) {
      worker ??= start()
      worker.ref()
      const number = ++asked
      const answer = Promise.withResolvers<Value>()
      waiting.set(number, answer)
      worker.postMessage({ number, ...question })
      return answer.promise
    },
    tell(question) {
      worker?.postMessage({ number: NO_ANSWER, ...question })
    },
    async close() {
      // Else a process that waits for nothing but this would end before it.
      worker?.ref()
      await worker?.terminate()
    },
  }
}
