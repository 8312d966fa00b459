import { hasCode } from '../../../core/errors.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { isDraftName } from '../../../storage/object-name.ts'
import { openData, readTrailer } from './data-object.ts'
import type { Entry } from './entry.ts'
import type { IndexedObject } from './index-table.ts'
import type { Repository } from './repository.ts'
import { isObjectId } from './sealed-object.ts'

export interface FoundObject {
  readonly object: IndexedObject
  /** Undefined: it is damaged. */
  readonly entries: readonly Entry[] | undefined
}

/** Data objects that lie there, by id; bytes. */
export async function listData(location: BackupLocation, signal: AbortSignal): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for await (const { name, sizeBytes } of location.list('data', signal)) {
    const [, folder, id = '', ...rest] = name.split('/')
    if (rest.length === 0 && isObjectId(id) && id.startsWith(folder!)) sizes.set(id, sizeBytes)
  }
  return sizes
}

/** Whole objects that no index has, as a run that died leaves them: what they say of themselves. */
export async function findUnindexed(
  { location, master, index }: Repository,
  sizes: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<FoundObject[]> {
  const found: FoundObject[] = []
  for (const [id, sizeBytes] of sizes) {
    if (index.hasObject(id)) continue
    try {
      await using data = await openData(location, master, id, signal)
      found.push({ object: { id, sizeBytes }, entries: await readTrailer(data, signal) })
    } catch (error) {
      if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
      if (hasCode(error, 'ARTIFACT_BROKEN')) found.push({ object: { id, sizeBytes }, entries: undefined })
    }
  }
  return found
}

/** Whole objects that no index had are in one. @returns their number. */
export async function indexUnindexed(repository: Repository, signal: AbortSignal): Promise<number> {
  const found = await findUnindexed(repository, await listData(repository.location, signal), signal)
  const objects = found.filter(({ entries }) => entries !== undefined).map(({ object }) => object)
  const entries = found.flatMap((one) => one.entries ?? [])
  if (objects.length > 0) await repository.index.add(objects, entries, signal)
  return objects.length
}

/**
 * Removes drafts that no writer is at work on. To be called with an exclusive lease; whoever asks for a lease, or adds a key, writes
 * without one.
 */
export async function removeDrafts(location: BackupLocation, signal: AbortSignal): Promise<void> {
  const data = (await location.children('data', signal)).map(({ name }) => `data/${name}`)
  for (const folder of ['index', 'snapshots', ...data]) {
    for (const { name, kind } of await location.children(folder, signal)) {
      if (kind === 'object' && isDraftName(name)) await location.delete(`${folder}/${name}`, signal)
    }
  }
}
