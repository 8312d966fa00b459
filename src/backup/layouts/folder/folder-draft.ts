import { join } from 'node:path'
import { mapConcurrent } from '../../../core/concurrency.ts'
import type { BackupLocation, ObjectWriter } from '../../../storage/backup-location.ts'
import { draftNameOf } from '../../../storage/object-name.ts'
import type { RunDraft } from '../run-files.ts'

const FILES_AT_ONCE = 8

/** A run as a folder: made as `<run>.partial`, and renamed when all of it is durable. @param run its name, which is free. */
export function createFolderDraft(place: BackupLocation, run: string): RunDraft {
  const draft = draftNameOf(run)
  let published = false
  return {
    path: join(place.path, run),
    putsAtOnce: FILES_AT_ONCE,
    async putAll(files, signal) {
      await mapConcurrent(
        files,
        FILES_AT_ONCE,
        ({ name, bytes }, both) => place.put(`${draft}/${name}`, bytes, both),
        signal,
      )
    },
    async create(name, signal) {
      const writer: ObjectWriter = await place.create(`${draft}/${name}`, signal)
      return {
        write: (chunk) => writer.write(chunk),
        keep: () => writer.publish(),
        [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
      }
    },
    async publish(signal) {
      await place.rename(draft, run, signal)
      published = true
    },
    async [Symbol.asyncDispose]() {
      // Whatever ended the run must not keep its leftovers.
      if (!published) await place.deleteAll(draft, new AbortController().signal)
    },
  }
}
