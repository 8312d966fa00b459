import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDigest } from '../../core/digest.ts'
import type { BlobStat } from '../blob-store.ts'
import { hasErrno } from './directories.ts'

const LEVEL_NAME = /^[0-9a-f]{2}$/

/** Ascending by digest; one leaf directory in memory at a time. What goes away meanwhile is left out. */
export async function* listBlobFiles(root: string, signal: AbortSignal): AsyncIterable<BlobStat> {
  for (const top of await namesIn(root, signal)) {
    if (!LEVEL_NAME.test(top)) continue
    for (const leaf of await namesIn(join(root, top), signal)) {
      if (!LEVEL_NAME.test(leaf)) continue
      const directory = join(root, top, leaf)
      for (const name of await namesIn(directory, signal)) {
        const digest = parseDigest(name)
        const sizeBytes = digest === undefined ? undefined : await sizeOf(join(directory, name))
        if (digest !== undefined && sizeBytes !== undefined) yield { digest, sizeBytes }
      }
    }
  }
}

async function namesIn(directory: string, signal: AbortSignal): Promise<string[]> {
  signal.throwIfAborted()
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
