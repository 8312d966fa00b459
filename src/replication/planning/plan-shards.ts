import type { PathRange } from '../../core/path-range.ts'
import type { Reader } from '../../metadata/database.ts'
import type { PlannedPath } from '../../metadata/replication/exec-paths.ts'
import type { NewShard } from '../../metadata/replication/exec-shards.ts'
import { scopeSize } from '../../metadata/replication/source-files.ts'
import { storedPrecondition, UNKNOWN } from '../delivery/work-item.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import type { Difference, PlannedFile } from './find-difference.ts'

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
}

/** A killed worker's shard is a small part of the run, and the plan of 10^8 files is 5,000 rows (sync.md B.8, B.10). */
const MAX_SHARD_FILES = 20_000
/** Below it the beginning of a stream would cost more than what it carries. */
const MIN_SHARD_FILES = 1_000
/** Number 0 is of what is known without looking. */
const FIRST_SHARD = 1

/** Cuts the work so that every stream gets about two shards of it, and none is too large. Ascending by path within each kind. */
export async function planShards(deps: ShardDeps, difference: Difference): Promise<PlannedShard[]> {
  const { plannedFiles } = difference.plan
  const size = Math.min(MAX_SHARD_FILES, Math.max(MIN_SHARD_FILES, Math.ceil(plannedFiles / (2 * deps.streams))))
  const pieces: Omit<PlannedShard, 'shardNo'>[] = []
  for (const range of await rangePieces(deps, difference.ranges, size)) {
    const measured = await scopeSize(deps.reader, deps.repoId, [range], deps.now)
    if (measured.files > 0) pieces.push({ kind: 'range', ...range, ...measured, paths: [] })
  }
  pieces.push(...pathPieces('paths', difference.paths, size), ...pathPieces('kept', difference.kept, MAX_SHARD_FILES))
  return pieces.map((piece, index) => ({ shardNo: FIRST_SHARD + index, ...piece }))
}

async function rangePieces(
  { fingerprints }: ShardDeps,
  ranges: readonly PathRange[],
  size: number,
): Promise<PathRange[]> {
  const sums = await sumsOf(fingerprints, ranges)
  const pieces: PathRange[] = []
  for (const [index, range] of ranges.entries()) {
    const cuts = await fingerprints.cuts(range, Math.ceil(sums[index]!.rows / size))
    const edges: (string | null)[] = [range.lo, ...cuts, range.hi]
    for (let at = 0; at + 1 < edges.length; at++) pieces.push({ lo: edges[at]!, hi: edges[at + 1]! })
  }
  return pieces
}

function pathPieces(kind: 'paths' | 'kept', files: readonly PlannedFile[], size: number) {
  const pieces: Omit<PlannedShard, 'shardNo'>[] = []
  for (let at = 0; at < files.length; at += size) {
    const part = files.slice(at, at + size)
    pieces.push({
      ...{ kind, lo: part[0]!.path, hi: files[at + size]?.path ?? null, files: part.length },
      bytes: part.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      paths: part.map(({ path, expect }) => ({ path, expect: storedPrecondition(kind === 'kept' ? UNKNOWN : expect) })),
    })
  }
  return pieces
}
