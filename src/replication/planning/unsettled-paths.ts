import { clipRanges, holderOf, mergeRanges, type PathRange } from '../../core/path-range.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { netChanges, nextChanges } from '../../metadata/changes/change-spans.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import type { Link } from '../../metadata/replication/links.ts'
import { listUnsettledPlaces } from '../../metadata/replication/unsettled.ts'
import type { Fingerprints } from '../recon/fingerprints.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { LinkScope } from './difference.ts'

/** What may have arrived at the target in runs that never heard of it, and is looked at even where both sides are equal. */
export interface UnsettledPaths {
  readonly paths: readonly string[]
  /** Those of them whose end was on its way: the guard let it through then. */
  readonly ends: readonly string[]
  /** Of them, what a follower left: files gained or lost. */
  readonly followed: ReadonlyMap<string, number>
}
export const NOTHING_UNSETTLED: UnsettledPaths = { paths: [], ends: [], followed: new Map() }

const ROWS_PER_READ = 2_000
/** A link that was given up leaves some shards behind, of at most 20,000 files each. */
const MOST_PATHS = 200_000
/** A follower has at most 69 batches of 500 changes under way (`live/follower.ts`). */
const MOST_FOLLOWED = 40_000

interface UnsettledDeps {
  readonly db: MetadataDatabase
  readonly fingerprints: Fingerprints
}

export async function unsettledPaths(
  { db, fingerprints }: UnsettledDeps,
  link: Link,
  scope: LinkScope,
  spec: Pick<RunSpec, 'follows'>,
): Promise<UnsettledPaths> {
  const places = await listUnsettledPlaces(longReads(db), link.id)
  const followed = spec.follows === undefined ? new Map<string, number>() : await followedPaths(db, link, scope)
  const holds = holderOf(scope.ranges)
  const named = places.paths.filter(({ path }) => holds(path))
  const paths = new Set([...named.map(({ path }) => path), ...followed.keys()])
  for (const window of mergeRanges(places.ranges)) {
    for (const range of clipRanges(scope.ranges, window)) {
      for await (const path of pathsIn(fingerprints, range)) {
        if (paths.size >= MOST_PATHS) break
        paths.add(path)
      }
    }
  }
  const ends = named.flatMap(({ path, deletes }) => (deletes ? [path] : []))
  return { paths: [...paths], ends: [...new Set(ends)], followed }
}

async function* pathsIn(fingerprints: Fingerprints, range: PathRange): AsyncGenerator<string> {
  for (let rest = range; ; ) {
    const rows = await fingerprints.rows(rest, ROWS_PER_READ)
    for (const { path } of rows) yield path
    if (rows.length < ROWS_PER_READ) return
    rest = { lo: `${rows.at(-1)!.path}\u0001`, hi: range.hi }
  }
}

/** What a link that follows changes had under way when it was last left, at most: the first changes after its cursor. */
export async function followedPaths(
  db: MetadataDatabase,
  { cursor }: Pick<Link, 'cursor'>,
  { repository, ranges }: Pick<LinkScope, 'repository' | 'ranges'>,
): Promise<Map<string, number>> {
  if (cursor === undefined || cursor.repoEpoch !== repository.epoch) return new Map()
  const to = await headSeq(db.read, repository.id)
  if (cursor.ackedSeq >= to) return new Map()
  const reader = longReads(db)
  const span = { from: cursor.ackedSeq, to, ranges }
  const { upTo } = await nextChanges(reader, repository.id, { ...span, limit: MOST_FOLLOWED })
  return netChanges(reader, repository.id, { ...span, to: upTo })
}
