import type { Digest } from '../../core/digest.ts'
import type { AppError } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { BlobStat } from '../../storage/blob-store.ts'
import type { DecodedNode } from '../records/decoded.ts'
import type { Contents } from './contents.ts'
import { judgeNode } from './judge-node.ts'
import { type NodeOutcome, pathsAround, standingAmong } from './node-batch.ts'
import { statOf, withoutBroken } from './node-writer.ts'
import { inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import { NODE_BATCHES, nodesOf, tell } from './restore-nodes.ts'
import type { RepositoryToRestore } from './restore-plan.ts'

/** What a rehearsal found: how many nodes would be made or changed. */
export interface Rehearsal {
  readonly written: number
}

/** Contents that were read. */
export interface SeenContents {
  readonly all: Set<Digest>
  /** Why the backup does not give these. */
  readonly broken: Map<Digest, AppError>
}

/** Versions are judged by themselves. */
const nobody = () => {}

/**
 * A restore of nodes that writes nothing: every content is read and hashed, also those that are here, each once.
 * @param repository undefined: it is not here yet. @param seen by the repositories before. @param gone what a
 * restore would delete first.
 */
export async function rehearseNodes(
  context: RestoreContext,
  contents: Contents,
  place: RepositoryToRestore,
  repository: Repository | undefined,
  seen: SeenContents,
  gone: ReadonlySet<NodePath>,
  signal: AbortSignal,
): Promise<Rehearsal> {
  const { deps, run } = context
  let written = 0

  async function readAll(nodes: readonly DecodedNode[]): Promise<void> {
    const blobs = nodes.flatMap((node): BlobStat[] => (node.digest === undefined ? [] : [statOf(node)]))
    const fresh = blobs.filter(({ digest }) => !seen.all.has(digest))
    await using fetched = await contents.fetch(fresh, signal)
    for (const { digest } of fresh) seen.all.add(digest)
    for (const [digest, error] of fetched.broken) seen.broken.set(digest, error)
  }
  for await (const nodes of inBatches(nodesOf(context, place, nobody, signal), NODE_BATCHES)) {
    await readAll(nodes)
    const { good, refused } = withoutBroken(nodes, seen)
    const rows = repository === undefined ? new Map() : await liveAt(deps.db.read, repository.id, pathsAround(good))
    for (const path of rows.keys()) if (gone.has(path)) rows.delete(path)
    const standingAt = standingAmong(rows, deps.clock.now())
    const outcome: NodeOutcome = {
      ...{ written: 0, unchanged: 0, kept: 0, strangers: [], deferred: [], lacking: [], refused: [] },
    }
    for (const node of good) {
      const verdict = judgeNode(node, standingAt(node.path), run.onConflict)
      if (verdict.is === 'refused') outcome.refused.push({ node, reason: verdict.reason })
      else if (verdict.is === 'kept') outcome.kept++
      else if (verdict.is === 'unchanged') outcome.unchanged++
      else outcome.written++
    }
    written += outcome.written
    for (const one of [...refused, outcome]) tell(context, place, one)
  }
  return { written }
}
