import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../../metadata/database.ts'
import type { PlannedPath } from '../../metadata/replication/exec-paths.ts'
import type { NewShard } from '../../metadata/replication/exec-shards.ts'
import { type RangeSize, rangeSize } from '../../metadata/replication/source-files.ts'
import { storedPrecondition, UNKNOWN } from '../delivery/work-item.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import type { Difference, LinkScope, PlannedFile } from './difference.ts'
import { type ArtifactScope, artifactSize } from './package-artifacts.ts'
import { filteredSize } from './scan-files.ts'

/** A piece of a link's work, to be persisted before it begins. */
export interface PlannedShard extends NewShard {
  /** Of the kinds that name their paths; empty for ranges. */
  readonly paths: readonly PlannedPath[]
}

interface ShardDeps {
  readonly reader: Reader
  readonly repoId: number
  readonly fingerprints: Fingerprints
  readonly now: number
  /** Streams that may work at once. */
  readonly streams: number
  /** Of the scope. */
  readonly filter?: LinkScope['filter']
  /** Where the repository has packages. */
  readonly scope?: ArtifactScope
}

/** A killed worker's shard is a small part of the run, and the plan of 10^8 files is 5,000 rows (sync.md B.8, B.10). */
const MAX_SHARD_FILES = 20_000
/** A file above it is a shard of its own. */
const MAX_SHARD_BYTES = 4 * 1024 ** 3
/** Below it the beginning of a stream would cost more than what it carries. */
const MIN_SHARD_FILES = 1_000
/** Number 0 is of what is known without looking. */
const FIRST_SHARD = 1

/** Cuts the work so that every stream gets about two shards of it, and none is too large. Ascending by path within each kind. */
export async function planShards(deps: ShardDeps, difference: Difference): Promise<PlannedShard[]> {
  const share = Math.ceil(difference.files / (2 * deps.streams))
  const size = Math.min(MAX_SHARD_FILES, Math.max(MIN_SHARD_FILES, share))
  const sums = await sumsOf(deps.fingerprints, difference.ranges)
  const pieces: Piece[] = []
  for (const [index, range] of difference.ranges.entries()) {
    pieces.push(...(await rangePieces(deps, range, Math.ceil(sums[index]!.rows / size))))
  }
  // In one order with the files: what stands in the way of one goes before it.
  const paths = [...difference.paths, ...difference.deletions].sort((a, b) => comparePaths(a.path, b.path))
  pieces.push(...pathPieces('paths', paths, size), ...pathPieces('kept', difference.kept, MAX_SHARD_FILES))
  return pieces.map((piece, index) => ({ shardNo: FIRST_SHARD + index, ...piece }))
}

type Piece = Omit<PlannedShard, 'shardNo'>

/** About equal in files; those that hold too many bytes are cut again, as far as they can be cut. */
async function rangePieces(deps: ShardDeps, range: PathRange, count: number): Promise<Piece[]> {
  const cuts = count > 1 ? await deps.fingerprints.cuts(range, count) : []
  const edges = [range.lo, ...cuts, range.hi]
  const pieces: Piece[] = []
  for (let at = 0; at + 1 < edges.length; at++) {
    const part = { lo: edges[at]!, hi: edges[at + 1]! }
    const measured = await sizeWithin(deps, part)
    const again = Math.min(measured.files, Math.ceil(measured.bytes / MAX_SHARD_BYTES))
    const isWhole = count > 1 && cuts.length === 0
    if (again > 1 && !isWhole) pieces.push(...(await rangePieces(deps, part, again)))
    else if (measured.files > 0) pieces.push({ kind: 'range', ...part, ...measured, paths: [] })
  }
  return pieces
}

function sizeWithin(deps: ShardDeps, range: PathRange): Promise<RangeSize> {
  const { reader, repoId, now, filter, scope } = deps
  if (scope?.packages !== undefined) return artifactSize(deps, scope, range)
  return filter === undefined ? rangeSize(reader, repoId, range, now) : filteredSize(deps, range, filter)
}

function pathPieces(kind: 'paths' | 'kept', files: readonly PlannedFile[], size: number): Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < files.length; ) {
    let bytes = files[at]!.sizeBytes
    let end = at + 1
    while (end < files.length && end - at < size && bytes + files[end]!.sizeBytes <= MAX_SHARD_BYTES) {
      bytes += files[end++]!.sizeBytes
    }
    const part = files.slice(at, end)
    pieces.push({
      ...{ kind, lo: part[0]!.path, hi: files[end]?.path ?? null, files: part.length, bytes },
      paths: part.map(({ path, expect, ifGone }) => ({
        path,
        expect: storedPrecondition(kind === 'kept' ? UNKNOWN : expect),
        ifGone,
      })),
    })
    at = end
  }
  return pieces
}
