import { join } from 'node:path'
import { parseDigest } from '../../core/digest.ts'
import type { BlobStat } from '../blob-store.ts'
import { namesIn, sizeOf } from './present.ts'

const LEVEL_NAME = /^[0-9a-f]{2}$/

/** Ascending by digest; one leaf directory in memory at a time. What goes away meanwhile is left out. */
export async function* listBlobFiles(root: string, signal: AbortSignal): AsyncIterable<BlobStat> {
  signal.throwIfAborted()
  for (const top of await namesIn(root)) {
    if (!LEVEL_NAME.test(top)) continue
    for (const leaf of await namesIn(join(root, top))) {
      signal.throwIfAborted()
      if (!LEVEL_NAME.test(leaf)) continue
      const directory = join(root, top, leaf)
      for (const name of await namesIn(directory)) {
        signal.throwIfAborted()
        const digest = parseDigest(name)
        const sizeBytes = digest === undefined ? undefined : await sizeOf(join(directory, name))
        if (digest !== undefined && sizeBytes !== undefined) yield { digest, sizeBytes }
      }
    }
  }
}
