import type { FileHandle } from 'node:fs/promises'
import { createAnsweringThread } from '../../core/answering-thread.ts'
import type { HashName, HashValues } from '../running-hashes.ts'

/** What goes to the thread; `drop` is not answered. */
export type HashQuestion = {
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

export function createHashThread(): HashThread {
  const thread = createAnsweringThread<HashQuestion, HashValues>(
    new URL('./hash-thread-entry.ts', import.meta.url),
    { resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 } },
    'The thread that hashes files has ended',
  )
  let begun = 0
  return {
    begin(names) {
      const hash = ++begun
      return {
        async read(file, from, to) {
          await thread.ask({ hash, ask: 'read', names, fd: file.fd, from, to })
          // Kept open: a `FileHandle` that nobody refers to may be closed.
          if (file.fd < 0) throw new Error('A file was closed while it was hashed')
        },
        values: (length) => thread.ask({ hash, ask: 'values', length }),
        drop() {
          thread.tell({ hash, ask: 'drop' })
        },
      }
    },
    [Symbol.asyncDispose]: thread.close,
  }
}
