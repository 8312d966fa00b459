import { basename, dirname } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { BackupLocation, ChildName } from '../../storage/backup-location.ts'
import { draftNameOf, isDraftName, isObjectName } from '../../storage/object-name.ts'
import type { ManifestSeal } from '../manifest/manifest-seal.ts'
import { freeNameAfter } from './run-name.ts'

/** What folders and zips need to be written and read. */
export interface RunPlaces {
  /** A folder of this machine as a place of backups. */
  readonly locate: (path: string) => BackupLocation
  readonly seal: ManifestSeal
  readonly random: Pick<Random, 'next'>
  readonly clock: Clock
  /** IANA name: runs are named in it. */
  readonly timeZone: string
}

export const zipNameOf = (name: string, run: string): string => `${name}/${name}-${run}.zip`

/** An object with the id of the run that has the name, for as long as it goes on. A draft, so that nobody takes it for a part of a backup. */
export const claimNameOf = (name: string, run: string): string => `${name}/${draftNameOf(`${run}.claim`)}`

/** The name of a run that begins then: neither a folder nor a zip has it, nor has anybody claimed it. @throws AppError RESOURCE_EXISTED. */
export async function freeRunName(
  place: BackupLocation,
  name: string,
  startedAt: number,
  timeZone: string,
  signal: AbortSignal,
): Promise<string> {
  const taken = new Set((await place.children(name, signal)).map((child) => child.name))
  const free = freeNameAfter(startedAt, timeZone, (run) => {
    const zip = basename(zipNameOf(name, run))
    return [run, draftNameOf(run), zip, draftNameOf(zip), basename(claimNameOf(name, run))].some((used) =>
      taken.has(used),
    )
  })
  if (free !== undefined) return free
  throw new AppError('RESOURCE_EXISTED', `${place.path}/${name} has a backup for every second of the next minutes`, {})
}

/** Names below a place that may have runs. */
export async function runOwners(
  place: BackupLocation,
  name: string | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (name !== undefined) return isObjectName(name) ? [name] : []
  return (await place.children('', signal))
    .filter((child) => child.kind === 'folder' && isObjectName(child.name) && !isDraftName(child.name))
    .map((child) => child.name)
}

/** What lies at a path, without following it when it is a link; undefined: nothing. */
export async function kindAt(
  locate: (path: string) => BackupLocation,
  path: string,
  signal: AbortSignal,
): Promise<ChildName['kind'] | undefined> {
  const beside = await locate(dirname(path)).children('', signal)
  return beside.find(({ name }) => name === basename(path))?.kind
}
