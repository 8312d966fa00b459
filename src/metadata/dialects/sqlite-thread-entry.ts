// What runs in the thread of `sqlite-thread.ts`: it answers questions until it is ended.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadAnswer } from '../../core/answering-thread.ts'
import type { ThreadQuestion } from './sqlite-thread.ts'

const { file } = workerData as { readonly file: string }
/**
 * Searches read rows in the order of an index, all over the file: mapped, a row costs a tenth of a system call. 2 GiB is SQLite's most.
 * Whatever is read stays in the process's resident memory, so what reads whole repositories, and nobody waits for, does without.
 */
const MAPPED_BYTES = 2_147_418_112
/** Single statements, and those of a snapshot, which see one moment, until it ends. */
const connections = { statement: open(MAPPED_BYTES), snapshot: open(0) }

function open(mappedBytes: number): DatabaseSync {
  const database = new DatabaseSync(file, { readOnly: true, enableForeignKeyConstraints: false, timeout: 10_000 })
  database.exec(`pragma case_sensitive_like = on; pragma mmap_size = ${mappedBytes}`)
  return database
}

parentPort!.on('message', ({ number, ...question }: ThreadQuestion & { readonly number: number }) => {
  parentPort!.postMessage({ number, ...answerTo(question) } satisfies ThreadAnswer<unknown[]>)
})

function answerTo({ on, sql, parameters }: ThreadQuestion): { value: unknown[] } | { failure: string } {
  try {
    return { value: connections[on].prepare(sql).all(...(parameters as SQLInputValue[])) }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}
