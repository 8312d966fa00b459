import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * Starts a module in a thread of its own. A thread does not inherit the process's cache of compiled modules; without it, it would load
 * the compiler that strips types, 18 MB for each thread.
 */
export function startThread(entry: URL, options: WorkerOptions): Worker {
  const cache = getCompileCacheDir()
  if (cache === undefined) return new Worker(entry, options)
  // What Node tells is a folder of its version within the one that it was given. Flushed: a thread that is ended by force keeps nothing.
  const start = `const { enableCompileCache, flushCompileCache } = require('node:module')
    enableCompileCache(${JSON.stringify(dirname(cache))})
    import(${JSON.stringify(entry.href)}).then(() => flushCompileCache())`
  return new Worker(start, { ...options, eval: true })
}
