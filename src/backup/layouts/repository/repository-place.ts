import { basename, dirname, join } from 'node:path'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { locationBelow } from '../../../storage/location-below.ts'

/** Folder of the repository, below the place that tasks name. */
export const FOLDER = 'repo'
const SNAPSHOT = /^(.+)-(\d{8}\.\d{6})$/

export const repositoryPath = (place: string): string => join(place, FOLDER)
/** A place has no links in it, but whoever can write to it may have made its folder one: it is looked at as all below it. */
export const repositoryLocation = (locate: (path: string) => BackupLocation, path: string): BackupLocation =>
  basename(path) === FOLDER ? locationBelow(locate(dirname(path)), FOLDER) : locate(path)

export const snapshotPath = (repository: string, snapshot: string): string => join(repository, 'snapshots', snapshot)

/** Of `<place>/repo/snapshots/<name>-<time>`; undefined when the path is no such thing. */
export function parseSnapshotPath(
  path: string,
): { readonly repository: string; readonly snapshot: string } | undefined {
  const folder = dirname(path)
  const isOne = basename(folder) === 'snapshots' && SNAPSHOT.test(basename(path))
  return isOne ? { repository: dirname(folder), snapshot: basename(path) } : undefined
}

/** The task's name and the time of the run, `yyyyMMdd.HHmmss`. */
export function parseSnapshotName(snapshot: string): { readonly name: string; readonly time: string } | undefined {
  const [, name, time] = SNAPSHOT.exec(snapshot) ?? []
  return name === undefined || time === undefined ? undefined : { name, time }
}
