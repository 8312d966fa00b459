/**
 * Runs `work` on every item, at most `limit` at a time; results keep the order of the items.
 * The first failure aborts the signal given to the others, waits for them and is thrown.
 */
export async function mapConcurrent<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): Promise<R[]> {
  // A signal of two costs as much as a small read.
  if (items.length <= 1) {
    signal.throwIfAborted()
    const result = items.length === 0 ? [] : [await work(items[0]!, signal)]
    signal.throwIfAborted()
    return result
  }
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const results: R[] = new Array(items.length)
  const failures: unknown[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length && !both.aborted) {
      const index = next++
      try {
        results[index] = await work(items[index]!, both)
      } catch (error) {
        failures.push(error)
        stop.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  signal.throwIfAborted()
  return results
}

/** Lets at most `limit` holders in; the rest wait in order. */
export class Semaphore {
  #free: number
  readonly #waiting: (() => void)[] = []
  constructor(limit: number) {
    this.#free = limit
  }
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        const next = this.#waiting.shift()
        if (next === undefined) this.#free++
        else next()
      },
    }
  }
}
