import { hasCode } from '../../../core/errors.ts'
import { entryKey } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import { digestsIn, needsOfParts, partEntryOf, partsOf } from './record-needs.ts'
import type { Repository } from './repository.ts'
import { parseSnapshotName } from './repository-place.ts'
import type { Snapshot } from './snapshot-object.ts'

/** The newest snapshot of a name that succeeded and that the index has all of: what is in it need not be read again. */
export async function findBase(
  repository: Repository,
  reader: EntryReader,
  name: string,
  signal: AbortSignal,
): Promise<Snapshot | undefined> {
  const ours = (await repository.snapshots(signal)).filter((snapshot) => parseSnapshotName(snapshot)?.name === name)
  for (const snapshot of ours.reverse()) {
    const found = await unlessBroken(repository.snapshot(snapshot, signal))
    if (found?.manifest.result !== 'SUCCESS' || found.manifest.name !== name) continue
    const isIndexed = await unlessBroken(hasAll(repository, reader, found, signal))
    if (isIndexed === true) return found
  }
  return undefined
}

async function hasAll(
  repository: Repository,
  reader: EntryReader,
  { manifest, missing }: Snapshot,
  signal: AbortSignal,
): Promise<boolean> {
  const parts = partsOf(manifest)
  for (const part of parts) if (partEntryOf(repository, 'records', part) === undefined) return false
  const known = new Set(missing)
  for await (const needs of needsOfParts(repository, reader, parts, signal)) {
    for (const digest of digestsIn(needs)) {
      const isThere = repository.index.find(entryKey('content', digest)) !== undefined
      if (!isThere && !known.has(digest.toString('hex'))) return false
    }
  }
  return true
}

async function unlessBroken<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) return undefined
    throw error
  }
}
