import { join } from 'node:path'
import { AppError } from '../../../core/errors.ts'
import type { BackupLocation, ObjectReader } from '../../../storage/backup-location.ts'
import type { RunDraft } from '../run-files.ts'
import { openZipEntry } from './zip-content.ts'
import { MOST_ENTRIES, readZipEntries } from './zip-entries.ts'
import { sidecarOf } from './zip-files.ts'
import { dosTimeOf } from './zip-records.ts'
import { createZipWriter } from './zip-writer.ts'

const READ_BYTES = 1024 * 1024

/**
 * A run as a zip, written from its beginning to its end as `<zip>.partial`, read back, and renamed.
 * @param zip its name, which is free. @param run `yyyyMMdd.HHmmss`: the folder that all entries lie in.
 */
export async function createZipDraft(
  place: BackupLocation,
  zip: string,
  run: string,
  signal: AbortSignal,
): Promise<RunDraft> {
  const object = await place.create(zip, signal)
  const writer = createZipWriter((bytes) => object.write(bytes), dosTimeOf(run))
  let entries = 0
  let published = false
  function count(added: number): void {
    entries += added
    if (entries <= MOST_ENTRIES) return
    const why = `a zip of more than ${MOST_ENTRIES} files is not read back: use the layout REPOSITORY`
    throw new AppError('TASK_FAILED', `The backup is too large: ${why}`, {})
  }
  return {
    path: join(place.path, zip),
    putsAtOnce: 1,
    async putAll(files, both) {
      both.throwIfAborted()
      count(files.length)
      await writer.addAll(files.map(({ name, bytes }) => ({ name: `${run}/${name}`, bytes })))
    },
    async create(name, both) {
      both.throwIfAborted()
      count(1)
      return writer.add(`${run}/${name}`)
    },
    async publish(both) {
      const digest = await writer.end()
      {
        await using written = await object.reread()
        await readBack(written, join(place.path, zip), both)
      }
      await place.put(sidecarOf(zip), Buffer.from(`${digest}  ${zip.slice(zip.lastIndexOf('/') + 1)}\n`), both)
      await object.publish()
      published = true
    },
    async [Symbol.asyncDispose]() {
      await object[Symbol.asyncDispose]()
      // Whatever ended the run must not keep its leftovers.
      if (!published) await place.delete(sidecarOf(zip), new AbortController().signal)
    },
  }
}

/** Every entry unpacks to what its checksum says. @throws AppError ARTIFACT_BROKEN. */
async function readBack(object: ObjectReader, path: string, signal: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (const entry of (await readZipEntries(object, path, signal)).values()) {
    await using source = await openZipEntry(object, entry, signal)
    while ((await source.read(buffer, signal)) > 0);
  }
}
