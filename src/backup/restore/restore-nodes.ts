import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { isExpired, liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'
import type { DecodedNode } from '../records/decoded.ts'
import { pathsNamed } from '../records/paths-named.ts'
import { repositoryFile } from '../records/record-files.ts'
import { type Contents, type Fetched, SMALL_BYTES } from './contents.ts'
import { judgeNode } from './judge-node.ts'
import { type NodeOutcome, type NodeRules, pathsAround, standingAmong } from './node-batch.ts'
import { type PreparedNodes, statOf, withoutBroken, writeNodes } from './node-writer.ts'
import { checkPlace, decodedRecords, inBatches, oneAhead } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RepositoryToRestore } from './restore-plan.ts'

export type Unrestored = 'kept' | 'refused' | 'expired'

/** What the versions of a repository have to know about its nodes. */
export interface RestoredNodes {
  /** Files of versions that are here, which get other bytes together with their version. */
  readonly deferred: Map<NodePath, DecodedNode>
  /** Files of the backup that are not here as it has them: another was kept, its record or content is broken, its time is over. */
  readonly unrestored: ReadonlyMap<NodePath, Unrestored>
}

/** One transaction: some 50 ms on SQLite. */
const NODES_PER_BATCH = 500
const SMALL_BYTES_PER_BATCH = 16 * 1024 * 1024
/** Staged contents wait for their transaction: no longer than these take. */
const LARGE_BYTES_PER_BATCH = 512 * 1024 * 1024

/**
 * Restores the nodes of one repository: contents of a batch are read while the one before is written. A batch is durable and whole, or
 * not there: cut at any moment, the restore can be run again.
 */
export async function restoreNodes(
  context: RestoreContext,
  contents: Contents,
  place: RepositoryToRestore,
  repository: Repository,
  signal: AbortSignal,
): Promise<RestoredNodes> {
  const { deps, run } = context
  const { db, clock } = deps
  const deferred = new Map<NodePath, DecodedNode>()
  const unrestored = new Map<NodePath, Unrestored>()
  const hasVersions = place.files.has('version') && deps.rulesOf(repository.type) !== undefined
  const rules: NodeRules = {
    repository,
    onConflict: run.onConflict,
    by: run.by,
    claimed: hasVersions ? 'defer' : 'write',
  }
  /** Of the batch that is being written: about to be here. */
  let underway: ReadonlySet<Digest> = new Set()

  async function prepare(nodes: readonly DecodedNode[]): Promise<PreparedNodes & { readonly refused: NodeOutcome[] }> {
    const now = clock.now()
    const standingAt = standingAmong(await liveAt(db.read, repository.id, pathsAround(nodes)), now)
    // The content of a file that stays as it is may have been lost: then it is read, too.
    const wanted = nodes.filter((node) => {
      const standing = standingAt(node.path)
      const isSame = standing.row?.digest === node.digest
      return !node.folder && (isSame || judgeNode(node, standing, run.onConflict).is === 'write')
    })
    const digests = [...new Set(wanted.map((node) => node.digest!))]
    const known = await knownBlobs(db.read, digests)
    const fetched = await contents.fetch(
      wanted.map(statOf).filter(({ digest }) => !known.has(digest) && !underway.has(digest)),
      signal,
    )
    underway = new Set([...fetched.small.keys(), ...fetched.staged.keys()])
    const { good, refused } = withoutBroken(nodes, fetched)
    return { nodes: good, fetched, refused, [Symbol.asyncDispose]: () => fetched[Symbol.asyncDispose]() }
  }
  function leave(path: NodePath, why: Unrestored): void {
    if (hasVersions) unrestored.set(path, why)
  }
  function note(outcomes: readonly NodeOutcome[]): void {
    for (const outcome of outcomes) {
      for (const node of outcome.deferred) deferred.set(node.path, node)
      for (const path of outcome.strangers) leave(path, 'kept')
      for (const { node } of outcome.refused) leave(node.path, 'refused')
      tell(context, place, outcome)
    }
  }

  const batches = inBatches(nodesOf(context, place, leave, signal), NODE_BATCHES)
  for await (const made of oneAhead(batches, prepare)) {
    await using prepared = made
    note(prepared.refused)
    note(await writeNodes(context, contents, rules, prepared, signal))
  }
  return { deferred, unrestored }
}

/** What was left for versions to write, and no version of the backup has. */
export async function restoreLeftNodes(
  context: RestoreContext,
  contents: Contents,
  place: RepositoryToRestore,
  repository: Repository,
  nodes: readonly DecodedNode[],
  signal: AbortSignal,
): Promise<void> {
  const { run } = context
  const rules: NodeRules = { repository, onConflict: run.onConflict, by: run.by, claimed: 'write' }
  for (let from = 0; from < nodes.length; from += NODES_PER_BATCH) {
    const some = nodes.slice(from, from + NODES_PER_BATCH)
    for (const outcome of await writeNodes(context, contents, rules, { nodes: some, fetched: NOTHING }, signal)) {
      tell(context, place, outcome)
    }
  }
}
const NOTHING: Fetched = {
  ...{ small: new Map(), staged: new Map(), broken: new Map() },
  [Symbol.asyncDispose]: async () => {},
}

/** Counts what became of nodes. Deferred ones are counted when they are written. */
export function tell({ run }: RestoreContext, { project, repo }: RepositoryToRestore, outcome: NodeOutcome): void {
  const done = outcome.written + outcome.unchanged
  run.progress.add({ nodes: done + outcome.kept, success: done, skipped: outcome.kept })
  for (const { node, reason } of outcome.refused) {
    run.progress.add({ nodes: 1 })
    run.fail(`${project}/${repo}${node.path}`, new AppError('NODE_CONFLICT', reason))
  }
}

/**
 * Nodes of the backup, but for those whose time is over: nobody would see them, and the next sweep takes them. `leave` hears of files that
 * do not come.
 */
export async function* nodesOf(
  context: RestoreContext,
  place: RepositoryToRestore,
  leave: (path: NodePath, why: Unrestored) => void,
  signal: AbortSignal,
): AsyncGenerator<DecodedNode> {
  const { project, repo, files } = place
  if (!files.has('node')) return
  const { deps, run, decoder } = context
  const now = deps.clock.now()
  let expired = 0
  const decode = (line: string) => {
    try {
      const node = decoder.node(line)
      if (node !== undefined) checkPlace(node, place)
      return node
    } catch (error) {
      for (const path of pathsNamed(line)) leave(path, 'refused')
      throw error
    }
  }
  for await (const node of decodedRecords(context, repositoryFile(project, repo, 'node'), decode, signal)) {
    if (!isExpired(node, now)) {
      yield node
      continue
    }
    expired++
    leave(node.path, 'expired')
    run.progress.add({ nodes: 1, skipped: 1 })
  }
  if (expired > 0) run.warn(`[${project}/${repo}]: ${expired} files whose time is over were left out`)
}

export const NODE_BATCHES = {
  items: NODES_PER_BATCH,
  weights: ({ sizeBytes }: DecodedNode) => (sizeBytes > SMALL_BYTES ? [0, sizeBytes] : [sizeBytes, 0]),
  limits: [SMALL_BYTES_PER_BATCH, LARGE_BYTES_PER_BATCH],
  keyOf: ({ path }: DecodedNode) => path,
}
