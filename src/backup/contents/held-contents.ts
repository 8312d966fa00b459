import type { BackupWriter } from '../layouts/layout.ts'
import { addBlob, type BlobList } from '../snapshot/blob-list.ts'

const ASKED_AT_ONCE = 1_000

/** Moves those that the place does not have yet from one list to the other. @returns how many it has. */
export async function leaveOutHeld(
  writer: Pick<BackupWriter, 'held'>,
  from: BlobList,
  to: BlobList,
  signal: AbortSignal,
): Promise<number> {
  let there = 0
  for await (const page of from.pages(ASKED_AT_ONCE)) {
    const digests = page.map(({ digest }) => digest)
    const held = await writer.held(digests, signal)
    there += held.size
    for (const blob of page) {
      if (!held.has(blob.digest) && addBlob(to, blob)) await to.flush()
    }
  }
  await to.flush()
  return there
}
