import { isPackagePath } from '../../core/package-key.ts'
import { mergeRanges } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import { holdsImages, holdsPackages, type RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { mayBePattern, type PathSelection, selectPaths } from '../../tasks/constraints/path-selection.ts'
import type { ManifestReader } from '../images/manifest-facts.ts'
import { createPlatformShares } from '../images/platform-shares.ts'
import { scopeHashOf } from '../runs/link-key.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import type { LinkScope } from './difference.ts'
import { type PackageScope, selectPackages } from './package-scope.ts'

const PATHS_PER_QUERY = 1_000

/** Where a scope is found out. */
export interface ScopeSource {
  readonly db: MetadataDatabase
  readonly manifests: ManifestReader
}

/**
 * What an object selects of its repository. A name with `*` means the node of just that name when there is one, so the answer depends on
 * what is stored; the scope's hash tells such states apart.
 */
export async function resolveScope(
  { db, manifests }: ScopeSource,
  repository: Repository,
  { paths: givenPaths, packages }: Pick<RunObject, 'paths' | 'packages'>,
  spec: Pick<RunSpec, 'includeMetadata' | 'propagateDelete' | 'platforms'>,
): Promise<{ readonly scope: LinkScope; readonly selection: PathSelection; readonly named: PackageScope['named'] }> {
  // Who names packages alone means no other files.
  const paths = packages === undefined ? givenPaths : (givenPaths ?? [])
  const unclear = (paths ?? []).flatMap(({ path }) => (path !== null && mayBePattern(path) ? [path] : []))
  const stored = await thoseStored(db, repository.id, [...new Set(unclear)])
  const selection = selectPaths(paths, (path) => stored.has(path))
  const { ranges, holds, watch } = selection
  if (!holdsPackages(repository.type)) {
    const scopeHash = scopeHashOf(selection.identity, spec)
    return { scope: { repository, ranges, filter: holds, watch, scopeHash }, selection, named: [] }
  }
  const chosen = selectPackages(packages, repository.type as RepositoryType, givenPaths === undefined ? 'all' : 'none')
  const { platforms } = spec
  const ofImages = holdsImages(repository.type) ? platforms : undefined
  const shares = ofImages && createPlatformShares(ofImages, manifests)
  const identity = [selection.identity, chosen.identity, ...(ofImages === undefined ? [] : [ofImages])]
  const scope: LinkScope = {
    ...{ repository, watch, packages: { ...chosen, shares } },
    ranges: mergeRanges([...chosen.ranges, ...ranges]),
    // Of packages and versions the packages' own filter decides.
    filter: holds && ((path) => isPackagePath(path) || holds(path)),
    scopeHash: scopeHashOf(identity, spec),
  }
  return { scope, selection, named: chosen.named }
}

/** Those of the paths at which there is a file or a folder. */
export async function thoseStored(
  db: MetadataDatabase,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Set<NodePath>> {
  const stored = new Set<NodePath>()
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const some = await liveAt(db.read, repoId, paths.slice(at, at + PATHS_PER_QUERY))
    for (const path of some.keys()) stored.add(path)
  }
  return stored
}
