import type { FileHandle } from 'node:fs/promises'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../../core/start-thread.ts'
import type { HashName, HashValues } from '../running-hashes.ts'

/** What goes to the thread; `drop` is not answered. */
export type HashQuestion = {
  readonly number: number
  readonly hash: number
} & (
  | {
      readonly ask: 'read'
      readonly names: readonly HashName[]
      readonly fd: number
      readonly from: number
      readonly to: number
    }
  | { readonly ask: 'values'; readonly length: number }
  | { readonly ask: 'drop' }
)
export type HashAnswer = { readonly number: number } & ({ readonly values: HashValues } | { readonly failure: string })

/**
 * Hashes large files in a thread of its own, which starts with the first of them: it reads them from the page cache behind their
 * writers. Bytes do not pass between threads, and the thread reads into one buffer over and over.
 */
export interface HashThread extends AsyncDisposable {
  /** Costs nothing before its first `read`. */
  begin(names: readonly HashName[]): FileHash
}

/** Of the beginning of one file. After an error it is void. */
export interface FileHash {
  /** Adds a range that begins where the one before ended. The file must stay open until this settles. @throws when it cannot be read. */
  read(file: FileHandle, from: number, to: number): Promise<void>
  /** Of all that was read; goes on afterwards. @throws when that is not `length` bytes. */
  values(length: number): Promise<HashValues>
  drop(): void
}

interface Waiting {
  readonly resolve: (values: HashValues) => void
  readonly reject: (error: Error) => void
}

export function createHashThread(): HashThread {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let asked = 0
  let begun = 0

  function start(): Worker {
    const started = startThread(new URL('./hash-thread-entry.ts', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 },
    })
    started.on('message', (answer: HashAnswer) => {
      const { resolve, reject } = waiting.get(answer.number)!
      waiting.delete(answer.number)
      // Only a question keeps the process alive.
      if (waiting.size === 0) started.unref()
      if ('values' in answer) resolve(answer.values)
      else reject(new Error(answer.failure))
    })
    const lose = (error: Error) => {
      if (worker !== started) return
      worker = undefined
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    }
    started.on('error', lose)
    started.on('exit', () => lose(new Error('The thread that hashes files has ended')))
    return started
  }
  type Ask = HashQuestion extends infer Question ? (Question extends unknown ? Omit<Question, 'number'> : never) : never
  function ask(question: Ask): Promise<HashValues> {
    worker ??= start()
    worker.ref()
    const number = ++asked
    worker.postMessage({ number, ...question } as HashQuestion)
    return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }))
  }

  return {
    begin(names) {
      const hash = ++begun
      return {
        async read(file, from, to) {
          await ask({ hash, ask: 'read', names, fd: file.fd, from, to })
          // Kept open: a `FileHandle` that nobody refers to may be closed.
          if (file.fd < 0) throw new Error('A file was closed while it was hashed')
        },
        values: (length) => ask({ hash, ask: 'values', length }),
        drop() {
          worker?.postMessage({ number: 0, hash, ask: 'drop' } satisfies HashQuestion)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      // Else a process that waits for nothing but this would end before it.
      worker?.ref()
      await worker?.terminate()
    },
  }
}
