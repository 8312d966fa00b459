import { AppError } from '../../core/errors.ts'
import { brokenRecord } from '../records/record-fields.ts'
import type { RestoreContext } from './restore-deps.ts'

/** What the lines of a record file say, those that say nothing usable noted as failures. Undefined from `decode`: nothing to restore. */
export async function* decodedRecords<T>(
  { reader, run }: Pick<RestoreContext, 'reader' | 'run'>,
  path: string,
  decode: (line: string) => T | undefined,
  signal: AbortSignal,
): AsyncGenerator<T> {
  let lineNumber = 0
  for await (const line of reader.records(path, signal)) {
    lineNumber++
    if (line === '') continue
    let record: T | undefined
    try {
      record = decode(line)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      run.fail(`${path}: line ${lineNumber}`, error)
      continue
    }
    if (record !== undefined) yield record
  }
}

interface Place {
  readonly project: string
  readonly repo: string
}
/** @throws AppError ARTIFACT_BROKEN for a record that lies with another repository than its own. */
export function checkPlace(record: Place, { project, repo }: Place): void {
  if (record.project === project && record.repo === repo) return
  throw brokenRecord(`it is of [${record.project}/${record.repo}]`)
}

/** Limits of one batch; an item that is above one by itself is a batch of its own. */
export interface BatchLimits<T> {
  readonly items: number
  /** What an item weighs, by as many measures as there are limits. */
  readonly weights: (item: T) => readonly number[]
  readonly limits: readonly number[]
  /** No two items of a batch have the same. */
  readonly keyOf: (item: T) => string
}

export async function* inBatches<T>(items: AsyncIterable<T>, by: BatchLimits<T>): AsyncGenerator<T[]> {
  let batch: T[] = []
  let keys = new Set<string>()
  let sums: number[] = by.limits.map(() => 0)
  for await (const item of items) {
    const weights = by.weights(item)
    const isFull = batch.length >= by.items || sums.some((sum, at) => sum + weights[at]! > by.limits[at]!)
    if (batch.length > 0 && (isFull || keys.has(by.keyOf(item)))) {
      yield batch
      batch = []
      keys = new Set()
      sums = by.limits.map(() => 0)
    }
    batch.push(item)
    keys.add(by.keyOf(item))
    sums = sums.map((sum, at) => sum + weights[at]!)
  }
  if (batch.length > 0) yield batch
}

/**
 * Begins the work on the next item while the one before is used: reading goes on while something is written. Whoever takes a result
 * disposes it; one that nobody took is disposed here.
 */
export async function* oneAhead<T, R extends AsyncDisposable>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const iterator = items[Symbol.asyncIterator]()
  const begin = async (): Promise<R | undefined> => {
    const next = await iterator.next()
    return next.done === true ? undefined : work(next.value)
  }
  let ahead = begin()
  try {
    for (;;) {
      const result = await ahead
      if (result === undefined) return
      ahead = begin()
      // Nobody hears of it before the next turn.
      ahead.catch(() => undefined)
      yield result
    }
  } finally {
    const left = await ahead.catch(() => undefined)
    await left?.[Symbol.asyncDispose]()
    await iterator.return?.()
  }
}
