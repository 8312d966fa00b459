import { setImmediate } from 'node:timers/promises'
import type { ArtifactServices } from './artifacts.ts'

const KINDS = ['tree-operation']
const LEASE_MS = 30_000

/**
 * Works on operations until `call` has ended, as the server's worker would, `workers` at a time. Time stands still.
 * @returns what the call answered.
 */
export async function whileWorking<T>(on: ArtifactServices, call: Promise<T>, workers = 1): Promise<T> {
  const stop = new AbortController()
  const done = Promise.all(Array.from({ length: workers }, (_, at) => work(on, `test:${at}`, stop.signal)))
  try {
    return await call
  } finally {
    stop.abort()
    await done
  }
}

async function work(on: ArtifactServices, owner: string, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    if (!(await workOnce(on, owner, stop))) await setImmediate()
  }
}

/** One job, from its claim to its end. @returns false when there was none. A handler that throws leaves its job behind. */
export async function workOnce(
  { queue, treeOperations, clock }: ArtifactServices,
  owner = 'test:0',
  signal: AbortSignal = new AbortController().signal,
): Promise<boolean> {
  const job = await queue.claim(owner, KINDS, LEASE_MS)
  if (job === undefined) return false
  try {
    await treeOperations.handlers.get(job.kind)!(job, new AbortController().signal)
    await queue.finish(job, owner)
  } catch (error) {
    await queue.retryAt(job, owner, clock.now())
    if (signal.aborted) return true
    throw error
  }
  return true
}
