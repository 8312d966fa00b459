import { basename, dirname } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Layouts } from '../layouts/layouts.ts'

/**
 * The newest backup of a place: a folder that backups were made into, or one name in it (`<place>/<name>`); a run itself is itself.
 * @throws AppError RESOURCE_NOT_FOUND when there is none.
 */
export async function newestRun(layouts: Pick<Layouts, 'list'>, place: string, signal: AbortSignal): Promise<string> {
  const inParent = await layouts.list(dirname(place), basename(place), signal)
  const [all, itself] = [await layouts.list(place, undefined, signal), await runAt(layouts, place, signal)]
  const newest = itself ?? inParent[0]?.path ?? all[0]?.path
  if (newest !== undefined) return newest
  throw new AppError('RESOURCE_NOT_FOUND', `There is no whole backup in ${place}: make one first`, { place })
}

/** Runs lie one or two folders below their place. */
async function runAt(layouts: Pick<Layouts, 'list'>, path: string, signal: AbortSignal): Promise<string | undefined> {
  const places = [dirname(path), dirname(dirname(path)), dirname(dirname(dirname(path)))]
  for (const place of places) {
    const found = (await layouts.list(place, undefined, signal)).find((run) => run.path === path)
    if (found !== undefined) return found.path
  }
  return undefined
}
