import { dirname } from 'node:path'
import { hasCode } from '../../../core/errors.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { isDraftName } from '../../../storage/object-name.ts'
import { dataName, openData, readTrailer } from './data-object.ts'
import type { Entry } from './entry.ts'
import type { IndexedObject } from './index-table.ts'
import { STALE_MS } from './lease.ts'
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

/**
 * Whole objects that no index has, as a run that died leaves them: what they say of themselves. Their names are durable from here on:
 * whoever gave them may have died before.
 */
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
  if (found.length > 0) await location.sync('data', signal)
  for (const folder of new Set(found.map(({ object }) => dirname(dataName(object.id))))) {
    await location.sync(folder, signal)
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
 * without one: of these only what is older than any lease that still counts.
 */
export async function removeDrafts(location: BackupLocation, signal: AbortSignal): Promise<void> {
  const data = (await location.children('data', signal)).map(({ name }) => `data/${name}`)
  for (const folder of ['', 'index', 'snapshots', ...data]) {
    for (const draft of await draftsIn(location, folder, signal)) await location.delete(draft, signal)
  }
  const leases = await Array.fromAsync(location.list('locks', signal))
  // By the clock of the place: one of them is the caller's, who renews it.
  const now = Math.max(...leases.map(({ modifiedAt }) => modifiedAt))
  for (const folder of ['locks', 'keys']) {
    for (const draft of await draftsIn(location, folder, signal)) {
      const { modifiedAt = now } = (await location.find(draft, signal)) ?? {}
      if (now - modifiedAt > STALE_MS) await location.delete(draft, signal)
    }
  }
}

async function draftsIn(location: BackupLocation, folder: string, signal: AbortSignal): Promise<string[]> {
  return (await location.children(folder, signal))
    .filter(({ name, kind }) => kind === 'object' && isDraftName(name))
    .map(({ name }) => (folder === '' ? name : `${folder}/${name}`))
}
