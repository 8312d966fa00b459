// What runs in the thread of `sqlite-thread.ts`: it answers questions until it is ended.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadAnswer, ThreadQuestion } from './sqlite-thread.ts'

const { file } = workerData as { readonly file: string }
const database = new DatabaseSync(file, { readOnly: true, enableForeignKeyConstraints: false, timeout: 10_000 })
// Rows in the order of an index lie all over the file: mapped, a row costs a tenth of a system call. 2 GiB is SQLite's most.
database.exec('pragma case_sensitive_like = on; pragma mmap_size = 2147418112')

parentPort!.on('message', ({ number, sql, parameters }: ThreadQuestion) => {
  parentPort!.postMessage({ number, ...answerTo(sql, parameters) } satisfies ThreadAnswer)
})

function answerTo(sql: string, parameters: readonly unknown[]): { rows: unknown[] } | { failure: string } {
  try {
    return { rows: database.prepare(sql).all(...(parameters as SQLInputValue[])) }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}
