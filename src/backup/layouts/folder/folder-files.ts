import { join } from 'node:path'
import { AppError } from '../../../core/errors.ts'
import type { PullSource } from '../../../core/pull-source.ts'
import type { BackupLocation, ObjectReader } from '../../../storage/backup-location.ts'
import { isObjectName } from '../../../storage/object-name.ts'
import { CONTENTS } from '../../manifest/run-paths.ts'
import type { RunFiles, WholeFinding } from '../run-files.ts'

/** The files of a run folder. @param place the folder itself. */
export function createFolderFiles(place: BackupLocation): RunFiles {
  return {
    layout: 'FOLDER',
    path: place.path,
    find: (name, signal) => place.find(name, signal),
    open: async ({ name }, signal) => pulledFromObject(await place.open(name, signal)),
    list: (signal) => place.list('', signal),
    check: (_reads, _onBytes, signal) => Array.fromAsync(oddNames(place, '', signal)),
    async [Symbol.asyncDispose]() {},
  }
}

/** Refuses a folder that holds links outside of the contents, where each is looked at when it is opened. */
export async function refuseLinks(place: BackupLocation, signal: AbortSignal): Promise<void> {
  for await (const { kind, object, reason } of oddNames(place, '', signal, CONTENTS)) {
    if (kind === 'odd') continue
    throw new AppError('ARTIFACT_BROKEN', `[${place.path}] is not taken as a backup: ${object}: ${reason}`, {})
  }
}

/** From the beginning. Disposing closes it. */
function pulledFromObject(object: ObjectReader): PullSource {
  let at = 0
  return {
    async read(into, signal) {
      const count = await object.read(into, at, signal)
      at += count
      return count
    },
    [Symbol.asyncDispose]: () => object[Symbol.asyncDispose](),
  }
}

/** Links, devices, and names that a backup never has. */
async function* oddNames(
  place: BackupLocation,
  folder: string,
  signal: AbortSignal,
  skipped?: string,
): AsyncGenerator<WholeFinding> {
  for (const { name, kind } of await place.children(folder, signal)) {
    const path = folder === '' ? name : `${folder}/${name}`
    const object = join(place.path, path)
    if (kind === 'other') yield { kind: 'wrong', object, reason: 'it is a link or a device, which nobody follows' }
    else if (!isObjectName(path)) yield { kind: 'odd', object, reason: 'it has a name that no backup has' }
    else if (kind === 'folder' && path !== skipped) yield* oddNames(place, path, signal, skipped)
  }
}
