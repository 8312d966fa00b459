import { lstat, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { invalid } from '../../core/errors.ts'
import { isDraftName } from '../../storage/object-name.ts'
import { CONFIG } from '../layouts/repository/repository-config.ts'
import { FOLDER } from '../layouts/repository/repository-place.ts'
import { CONTENTS, MANIFEST } from '../manifest/run-paths.ts'
import { isInside, type LocationMapping, type PathRules, readLocation } from './location-form.ts'

/** Where backups may be: what a `storeLocation` means on this machine, and whether that is allowed (backup.md 7). */
export interface Places {
  /**
   * The folder or file that is meant: absolute, without links, inside an allowed root. It need not be there; nothing is made.
   * @param field names it in refusals. @throws AppError PARAMETER_INVALID.
   */
  resolve(location: string, field?: string): Promise<string>
  /** As `resolve`, of where backups are written: neither in a run nor in a repository, whose verification would not see them, or see them only. */
  resolveTarget(location: string, field?: string): Promise<string>
  /**
   * As `resolve`, of something that is there.
   * @throws AppError PARAMETER_INVALID when it is not, or when it is a file of a kind that no backup has.
   */
  resolveExisting(location: string, field?: string): Promise<string>
  /** As `resolveExisting`, of what can be restored: a folder needs a manifest, unless it is taken as `legacy`. */
  resolveRun(location: string, takes: 'whole' | 'legacy'): Promise<string>
}

export interface PlacesDeps {
  readonly rules: PathRules
  /** Absolute; at least one. Relative locations are below the first. */
  readonly roots: readonly string[]
  readonly map: readonly LocationMapping[]
}

export function createPlaces({ rules, roots, map }: PlacesDeps): Places {
  async function resolveInRoot(location: string, field: string) {
    const meant = readLocation(location, { rules, base: roots[0]!, map }, field)
    const real = await realPathOf(meant, field)
    for (const named of roots) {
      const root = await realPathOf(named, field)
      if (isInside(real, root, rules)) return { path: real, root }
    }
    throw invalid(field, 'it is outside of the folders that the setting backup.allowedRoots names')
  }
  const resolve = async (location: string, field = 'storeLocation') => (await resolveInRoot(location, field)).path
  async function resolveExisting(location: string, field = 'storeLocation'): Promise<string> {
    const path = await resolve(location, field)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) throw invalid(field, 'nothing is there')
    if (!found.isDirectory() && !(found.isFile() && isBackupFile(path)))
      throw invalid(field, 'it is neither a folder nor a zip file of a backup')
    return path
  }
  return {
    resolve,
    async resolveTarget(location, field = 'storeLocation') {
      const { path, root } = await resolveInRoot(location, field)
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined && !found.isDirectory()) throw invalid(field, 'a file is there: name a folder')
      for (let at = path; ; at = dirname(at)) {
        const what = await backupAt(at, field)
        if (what !== undefined) throw invalid(field, `[${at}] is ${what}: name a folder that is not in it`)
        if (relative(root, at) === '') return path
      }
    },
    resolveExisting,
    async resolveRun(location, takes) {
      const path = await resolveExisting(location)
      if (takes === 'legacy' || !(await stat(path)).isDirectory()) return path
      if (await isThere(join(path, MANIFEST), 'storeLocation')) return path
      throw invalid('storeLocation', `the folder has no ${MANIFEST}: it is no run, or one that did not come to its end`)
    },
  }
}

/** A zip, or a snapshot of a repository (`…/snapshots/<name>/<run>`). */
const isBackupFile = (path: string): boolean =>
  /\.zip$/i.test(path) || path.split(/[\\/]/).slice(0, -1).includes('snapshots')

/** Of a folder that is no place of backups, but a part of one. */
async function backupAt(path: string, field: string): Promise<string | undefined> {
  const has = (name: string) => isThere(join(path, name), field)
  if (isDraftName(path)) return 'a backup on its way'
  if ((await has(MANIFEST)) || (await has(CONTENTS))) return 'a run of a backup'
  const isRepository = (await has(CONFIG)) && (basename(path) === FOLDER || (await has('snapshots')))
  return isRepository ? 'a backup repository' : undefined
}

/** The longest part of a path that is there without its links, and the rest as it is. */
async function realPathOf(path: string, field: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    const parent = dirname(path)
    if (!isAbsent(error) || parent === path) throw unusable(field, error)
    // A link to nowhere is there: what is written through it would be made wherever it points.
    if (await isThere(path, field)) throw invalid(field, 'it holds a link that points to nothing')
    return join(await realPathOf(parent, field), basename(path))
  }
}

async function isThere(path: string, field: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw unusable(field, error)
  }
}

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

/** A file where a folder should be, a name that is too long, links in a circle, no permission. */
const unusable = (field: string, error: unknown): Error =>
  invalid(field, `it cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
