import { basename, dirname, relative, sep } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Layouts, StoredRun } from '../layouts/layouts.ts'
import { parseSnapshotPath } from '../layouts/repository/repository-place.ts'

const RUN_FOLDER = /^\d{8}\.\d{6}$/

/**
 * What a drill restores, oldest first: the newest backup of a place, and, when that is an increment, those before it back to the last whole
 * one. A place is a folder that backups were made into, one name in it (`<place>/<name>`), or a run itself.
 * @param roots nothing above them is looked at.
 * @throws AppError RESOURCE_NOT_FOUND when there is none.
 */
export async function runsToDrill(
  layouts: Pick<Layouts, 'list' | 'openReader'>,
  place: string,
  roots: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  if (isRun(place)) return [place]
  const parent = dirname(place)
  const named = roots.some((root) => isInside(root, parent)) ? await layouts.list(parent, basename(place), signal) : []
  const all = named.length > 0 ? named : await layouts.list(place, undefined, signal)
  const [newest] = all
  if (newest === undefined) {
    throw new AppError('RESOURCE_NOT_FOUND', `There is no whole backup in ${place}: make one first`, { place })
  }
  return chainOf(
    layouts,
    all.filter(({ name }) => name === newest.name),
    signal,
  )
}

async function chainOf(
  layouts: Pick<Layouts, 'openReader'>,
  newestFirst: readonly StoredRun[],
  signal: AbortSignal,
): Promise<string[]> {
  const chain: string[] = []
  for (const { path } of newestFirst) {
    chain.unshift(path)
    await using reader = await layouts.openReader(path, 'whole', signal)
    if (reader.manifest?.since == null) break
  }
  return chain
}

const isRun = (path: string): boolean =>
  RUN_FOLDER.test(basename(path)) || path.endsWith('.zip') || parseSnapshotPath(path) !== undefined

function isInside(root: string, path: string): boolean {
  const way = relative(root, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`))
}
