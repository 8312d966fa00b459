import type { NodePath } from '../core/paths.ts'

/**
 * What a caller may read in one project, in a form that a search compiles to SQL. A path is readable when any entry of its
 * repository allows it: one of `include` covers it (empty: all do) and none of `exclude` does. A pattern covers itself and what
 * is below it, `/data/report` thus never `/data/report-secret` (core.md 4).
 */
export interface ReadableScope {
  /** An administrator of the system or of the project: all repositories, `repositories` is empty. */
  readonly everything: boolean
  /** Several permissions of one repository give several entries. */
  readonly repositories: readonly ReadableRepository[]
}

export interface ReadableRepository {
  readonly repoId: number
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
}
