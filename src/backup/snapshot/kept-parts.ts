import { isPackagePath } from '../../core/package-key.ts'
import { comparePaths } from '../../core/paths.ts'
import {
  foldersAddedSince,
  logSince,
  NOTHING,
  pathsChangedSince,
  type QuietSums,
  repositoriesChangedSince,
} from '../../metadata/backup/changes-since.ts'
import type { RepositoryRow } from '../../metadata/backup/snapshot-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import type { Manifest, RecordFile, RecordPart, RepositoryState } from '../manifest/manifest.ts'
import { repositoryFile } from '../records/record-files.ts'

/** What of a repository's records need not be read, since the base has them as they are. */
export interface KeptParts {
  readonly node: readonly RecordPart[]
  readonly package: readonly RecordPart[]
  readonly version: readonly RecordPart[]
  /** Paths of nodes that changed since, ascending; `none`, `all`: any may have. */
  readonly nodes: readonly string[] | 'none' | 'all'
  readonly packages: 'same' | 'changed'
}

/** The run whose parts may be kept. */
export interface Base {
  readonly states: ReadonlyMap<number, RepositoryState>
  readonly files: ReadonlyMap<string, RecordFile>
  /** Repositories with a change since its snapshot. */
  readonly changed: ReadonlySet<number>
}

/**
 * Of a run in which something is missing nothing is kept: what is missing may be there by now. Nor of one that the change log does not
 * surely go on from.
 */
export async function baseOf(reader: Reader, manifest: Manifest | undefined): Promise<Base | undefined> {
  if (manifest === undefined || manifest.result !== 'SUCCESS') return undefined
  if ((await logSince(reader, manifest)) !== 'same') return undefined
  return {
    states: new Map(manifest.repositories.map((state) => [state.repoId, state])),
    files: new Map(manifest.files.map((file) => [file.path, file])),
    changed: await repositoriesChangedSince(reader, manifest.snapshotSeq),
  }
}

/** Above this many, all is read. */
const MOST_PATHS = 20_000

/** Undefined: nothing of it can be kept. */
export async function findKept(
  reader: Reader,
  { states, files, changed }: Base,
  repository: RepositoryRow,
  quiet: QuietSums,
): Promise<KeptParts | undefined> {
  const { id, project, name, epoch } = repository
  const state = states.get(id)
  if (state === undefined || !isFollowedBy(state, repository)) return undefined
  const partsOf = (kind: 'node' | 'package' | 'version') => files.get(repositoryFile(project, name, kind))?.parts
  const parts = { node: partsOf('node'), package: partsOf('package'), version: partsOf('version') }
  if (parts.node === undefined || parts.package === undefined || parts.version === undefined) return undefined
  const kept = { node: parts.node, package: parts.package, version: parts.version }
  const before = quietOf(state.quiet)
  const paths = changed.has(id) ? await pathsChangedSince(reader, id, state.seq, MOST_PATHS + 1) : []
  const many = paths.length > MOST_PATHS
  const nodePaths = paths.filter((path) => !isPackagePath(path))
  const samePackages = before.versions === quiet.versions && !many && nodePaths.length === paths.length
  const folders = before.folders === quiet.folders ? [] : await foldersAddedSince(reader, id, before, quiet, MOST_PATHS)
  const changedNodes = [...nodePaths, ...(folders ?? [])].sort(comparePaths)
  const nodes = many || folders === undefined ? 'all' : changedNodes.length === 0 ? 'none' : changedNodes
  return { ...kept, nodes, packages: samePackages ? 'same' : 'changed' }

  function isFollowedBy(before: RepositoryState, now: RepositoryRow): boolean {
    return (
      before.projectId === project && before.repoName === name && before.epoch === epoch && before.seq >= now.floor_seq
    )
  }
}

export const quietText = ({ folders, versions }: QuietSums): string => `${folders};${versions}`
function quietOf(text: string): QuietSums {
  const [folders = '', versions = ''] = text.split(';')
  return text === '' ? NOTHING : { folders, versions }
}

/** A stretch of a file: parts of the base that stay, or keys [lo, hi) that are read again. */
export type Stretch = { readonly kept: RecordPart } | { readonly lo: string; readonly hi: string | null }

/** Parts whose range holds one of the paths (ascending) are read, neighbours of them in one go. */
export function stretchesOf(parts: readonly RecordPart[], paths: readonly string[]): Stretch[] {
  const stretches: Stretch[] = []
  let next = 0
  for (const [index, part] of parts.entries()) {
    const lo = index === 0 ? '' : part.first
    const hi = parts[index + 1]?.first ?? null
    const from = next
    while (next < paths.length && (hi === null || comparePaths(paths[next]!, hi) < 0)) next++
    const last = stretches.at(-1)
    if (next === from) stretches.push({ kept: part })
    else if (last !== undefined && 'lo' in last) stretches[stretches.length - 1] = { lo: last.lo, hi }
    else stretches.push({ lo, hi })
  }
  return stretches.length === 0 ? [{ lo: '', hi: null }] : stretches
}
