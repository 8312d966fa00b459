import { ancestorsOf, isWithin, type NodePath, ROOT } from './paths.ts'

/**
 * Paths that a permission is about: those that one of `include` covers (empty: all) and none of `exclude` does. A pattern covers
 * itself and what is below it: `/data/report` covers `/data/report/x`, not `/data/report-secret` (core.md 4).
 */
export interface PathScope {
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
}

/**
 * How much of the tree at a path a question is about. `node`: the file or folder itself · `tree`: it and all that is or may come
 * below it · `part`: whatever below it is allowed, for a listing that leaves out the rest.
 */
export type Extent = 'node' | 'tree' | 'part'

export function scopeHolds({ include, exclude }: PathScope, path: NodePath, extent: Extent): boolean {
  const excluded = (at: NodePath) => exclude.some((pattern) => isWithin(at, pattern))
  const covered = (include.length === 0 || include.some((pattern) => isWithin(path, pattern))) && !excluded(path)
  if (extent === 'node') return covered
  if (extent === 'tree') return covered && !exclude.some((pattern) => isWithin(pattern, path))
  return covered || include.some((pattern) => isWithin(pattern, path) && !excluded(pattern))
}

/** The folders on the way to what a scope includes: shown in listings, so that there is a way. The root is none of them. */
export function foldersToward({ include, exclude }: PathScope): NodePath[] {
  const open = include.filter((pattern) => pattern !== ROOT && scopeHolds({ include, exclude }, pattern, 'node'))
  return [...new Set(open.flatMap(ancestorsOf))]
}
