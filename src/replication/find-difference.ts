import { clipRanges, type PathRange } from '../core/path-range.ts'
import { comparePaths } from '../core/paths.ts'
import { changedPaths, changeSpan, headSeq, netFiles } from '../metadata/change-log.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { LinkPlan } from '../metadata/replication/exec-links.ts'
import type { NewShard } from '../metadata/replication/exec-shards.ts'
import { divergentPaths, type Link } from '../metadata/replication/links.ts'
import {
  filesAt,
  listFiles,
  pathAfterSkipping,
  type SourceFile,
  scopeSize,
} from '../metadata/replication/source-files.ts'
import { numberChanges } from '../metadata/sequencer.ts'
import type { OpenAnswer } from '../remotes/cluster/messages.ts'

/** Where a link's files are, and since when the link knows them. */
export interface LinkScope {
  readonly repository: { readonly id: number; readonly epoch: string; readonly floorSeq: number }
  readonly ranges: readonly PathRange[]
  readonly scopeHash: string
}

export interface Difference {
  readonly plan: LinkPlan
  /** Work of at most `SHARD_FILES` files each, in path order. */
  readonly shards: readonly NewShard[]
  /** Files of the scope that need no look: the cursor proves them unchanged. */
  readonly provenUnchanged: number
}

/** Sized so that a killed worker's shard is a small part of the run, and the plan of 10^8 files is 5,000 rows (sync.md B.8, B.10). */
const SHARD_FILES = 20_000
/** A cursor that lies further back than this is slower than comparing everything. */
const MAX_CURSOR_CHANGES = 200_000
const PATHS_PER_QUERY = 500

/**
 * What has to be looked at so that the target equals the scope: with a valid cursor the paths that changed since and those of the
 * ledger, otherwise every file. This is the one place that decides it; range fingerprints will replace the listing here.
 */
export async function findDifference(
  db: MetadataDatabase,
  link: Link,
  scope: LinkScope,
  answer: OpenAnswer,
  now: number,
): Promise<Difference> {
  await numberChanges(db)
  const toSeq = await headSeq(db.read, scope.repository.id)
  const remote = answer.head
  const fromSeq = await validCursor(db, link, scope, answer, toSeq)
  if (fromSeq === undefined) {
    const { size, filesThen } = await countScope(db, scope, toSeq, now)
    const plan = {
      mode: 'listing',
      fromSeq: null,
      toSeq,
      remote,
      scopeFiles: filesThen,
      plannedFiles: size.files,
    } as const
    return { plan, shards: await listingShards(db, scope, size, now), provenUnchanged: 0 }
  }
  const paths = await candidatePaths(db, link, scope, { fromSeq, toSeq }, { lo: '/', hi: null })
  const files = await describePaths(db, scope.repository.id, paths, now)
  const gained = await netFiles(db.read, scope.repository.id, { from: fromSeq, to: toSeq, ranges: scope.ranges })
  const scopeFiles = link.cursor!.scopeFiles + gained
  const plan = { mode: 'cursor', fromSeq, toSeq, remote, scopeFiles, plannedFiles: files.length } as const
  return { plan, shards: pathShards(files), provenUnchanged: Math.max(0, scopeFiles - files.length) }
}

/** The position to go on from; undefined when it proves nothing any more. */
async function validCursor(db: MetadataDatabase, link: Link, scope: LinkScope, answer: OpenAnswer, toSeq: number) {
  const { cursor } = link
  const { repository } = scope
  if (cursor === undefined || !answer.pure || link.scopeHash !== scope.scopeHash) return undefined
  if (cursor.repoEpoch !== repository.epoch || cursor.ackedSeq < repository.floorSeq || cursor.ackedSeq > toSeq)
    return undefined
  const span = await changeSpan(db.read, repository.id, {
    from: cursor.ackedSeq,
    to: toSeq,
    limit: MAX_CURSOR_CHANGES + 1,
  })
  return span > MAX_CURSOR_CHANGES ? undefined : cursor.ackedSeq
}

/** What the scope holds now, and how many files it held at `toSeq`: of one moment, or a file that comes between would count twice. */
async function countScope(db: MetadataDatabase, scope: LinkScope, toSeq: number, now: number) {
  const repoId = scope.repository.id
  return db.read
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (snapshot) => {
      const size = await scopeSize(snapshot, repoId, scope.ranges, now)
      const since = await netFiles(snapshot, repoId, { from: toSeq, to: null, ranges: scope.ranges })
      return { size, filesThen: size.files - since }
    })
}

/** Changed paths and those of the ledger inside `window`, ascending, each once. */
export async function candidatePaths(
  db: MetadataDatabase,
  link: Link,
  scope: LinkScope,
  span: { readonly fromSeq: number; readonly toSeq: number },
  window: PathRange,
): Promise<string[]> {
  const ranges = clipRanges(scope.ranges, window)
  const changed = await changedPaths(db.read, scope.repository.id, { from: span.fromSeq, to: span.toSeq, ranges })
  const ledger = await divergentPaths(db.read, link.id, ranges)
  if (ledger.length === 0) return changed
  return [...new Set([...changed, ...ledger])].sort(comparePaths)
}

interface SizedPath {
  readonly path: string
  readonly sizeBytes: number
}

async function describePaths(
  db: MetadataDatabase,
  repoId: number,
  paths: readonly string[],
  now: number,
): Promise<SizedPath[]> {
  const found: SizedPath[] = []
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const files = await filesAt(db.read, repoId, paths.slice(at, at + PATHS_PER_QUERY), now)
    for (const { path, sizeBytes } of files) found.push({ path, sizeBytes })
  }
  return found
}

function pathShards(files: readonly SizedPath[]): NewShard[] {
  const shards: NewShard[] = []
  for (let at = 0; at < files.length; at += SHARD_FILES) {
    const part = files.slice(at, at + SHARD_FILES)
    const bytes = part.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const lo = at === 0 ? '/' : part[0]!.path
    shards.push({
      shardNo: shards.length + 1,
      lo,
      hi: files[at + SHARD_FILES]?.path ?? null,
      files: part.length,
      bytes,
    })
  }
  return shards
}

async function listingShards(
  db: MetadataDatabase,
  scope: LinkScope,
  size: { readonly files: number; readonly bytes: number },
  now: number,
): Promise<NewShard[]> {
  const shards: NewShard[] = []
  if (size.files === 0) return shards
  const repoId = scope.repository.id
  for (let lo: string | undefined = '/'; lo !== undefined; ) {
    const hi = await pathAfterSkipping(db.read, repoId, { ranges: scope.ranges, from: lo, skip: SHARD_FILES }, now)
    const ranges = clipRanges(scope.ranges, { lo, hi: hi ?? null })
    const part = lo === '/' && hi === undefined ? size : await scopeSize(db.read, repoId, ranges, now)
    shards.push({ shardNo: shards.length + 1, lo, hi: hi ?? null, ...part })
    lo = hi
  }
  return shards
}

/** Files of one shard in path order, as they are when they are read, from after `pos` on. */
export async function* shardFiles(
  db: MetadataDatabase,
  link: Link,
  scope: LinkScope,
  plan: { readonly mode: 'cursor' | 'listing' | null; readonly fromSeq: number | null; readonly toSeq: number | null },
  shard: { readonly lo: string; readonly hi: string | null; readonly pos: string | null },
  now: () => number,
): AsyncIterable<SourceFile> {
  const window = { lo: shard.lo, hi: shard.hi }
  const repoId = scope.repository.id
  if (plan.mode === 'cursor') {
    const span = { fromSeq: plan.fromSeq!, toSeq: plan.toSeq! }
    const all = await candidatePaths(db, link, scope, span, window)
    const left = shard.pos === null ? all : all.filter((path) => comparePaths(path, shard.pos!) > 0)
    for (let at = 0; at < left.length; at += PATHS_PER_QUERY) {
      yield* await filesAt(db.read, repoId, left.slice(at, at + PATHS_PER_QUERY), now())
    }
    return
  }
  const ranges = clipRanges(scope.ranges, window)
  for (let after = shard.pos ?? undefined; ; ) {
    const page = await listFiles(db.read, repoId, { ranges, after, limit: PATHS_PER_QUERY }, now())
    yield* page
    if (page.length < PATHS_PER_QUERY) return
    after = page.at(-1)!.path
  }
}
