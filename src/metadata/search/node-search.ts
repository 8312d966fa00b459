import { type RawBuilder, sql } from 'kysely'
import type { SearchRule } from '../../core/search-rule.ts'
import type { Reader } from '../database.ts'
import { type NodeRecord, type NodeRow, toNode } from '../nodes/nodes.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { nodeCondition, sortValue } from './node-search-fields.ts'
import { type Candidates, everyNode, inOrderOf, isIndexedField, planCandidates } from './node-search-plan.ts'
import { allOf, type Condition, ruleCondition } from './search-conditions.ts'
import {
  among,
  isAboutRepositories,
  readable,
  type SearchedRepository,
  type SearchScope,
  within,
} from './search-scope.ts'

export interface NodeSearch {
  readonly project: string
  readonly repositories: readonly SearchedRepository[]
  readonly scope: SearchScope
  /** All of them hold. */
  readonly rules: readonly SearchRule[]
  /** UTC epoch milliseconds: what has expired by then is not there. */
  readonly now: number
  /** How many matches are counted. */
  readonly countUpTo: number
  /** How many rows of an index a search may look at. */
  readonly lookAtMost: number
}

export interface FoundOrder {
  readonly field: string
  readonly direction: 'asc' | 'desc'
}
export interface FoundWindow {
  readonly order: readonly FoundOrder[]
  readonly limit: number
  readonly offset: number
  readonly metadata: 'with-metadata' | 'without-metadata'
}

/** A search whose way to its matches is chosen. */
export interface PreparedSearch {
  readonly candidates: Candidates
  /** Exact up to `countUpTo`, which `more` lies beyond. Undefined: they cannot be counted within `lookAtMost`. */
  count(): Promise<{ readonly matches: number; readonly more: boolean } | undefined>
  /** @param counted what `count` said. Undefined: they cannot be sorted within `lookAtMost`. */
  window(window: FoundWindow, counted: { readonly more: boolean }): Promise<NodeRecord[] | undefined>
  /** Matches of each repository that has some. Undefined: they cannot be counted within `lookAtMost`. */
  countByRepository(): Promise<ReadonlyMap<number, number> | undefined>
}

/** Rows that tell an index that gives few from one that gives many. */
const FEW = 1_000
const PROBED = 10_001
/** Repositories whose orders are merged; far more would each give a whole window. */
const MERGED_REPOSITORIES = 20
/** Asks each index that fits how many rows it would give, and takes the one with the fewest. */
export async function prepareSearch(reader: Reader, search: NodeSearch): Promise<PreparedSearch> {
  const dialect = dialectOf(reader)
  const { project, countUpTo, lookAtMost } = search
  const ids = search.repositories.map(({ id }) => id)
  const inRepositories = among(reader, 'repo_id', ids)
  const rules = search.rules.filter((rule) => !isAboutRepositories(rule))
  const candidates = await choose(reader, planCandidates(rules, project, dialect), inRepositories)
  const current = (await hasExpired(reader, search.now))
    ? [sql<boolean>`(expires_at is null or expires_at > ${search.now})`]
    : []
  const condition = (covered: readonly SearchRule[]): Condition =>
    allOf([
      ...current,
      ...readable(search.scope, new Set(ids), within),
      ...rules
        .filter((rule) => !covered.includes(rule))
        .map((rule) => ruleCondition(rule, (leaf) => nodeCondition(leaf, project, dialect))),
    ])
  const matching = condition(candidates.covers)

  const looked = candidates.select(inRepositories, lookAtMost)
  let whole: Promise<boolean> | undefined
  /** Whether `looked` is all there is. */
  const isWhole = (): Promise<boolean> => {
    whole ??= sql`select 1 from (${candidates.entries(inRepositories, 1, lookAtMost)}) as beyond`
      .execute(reader)
      .then(({ rows }) => rows.length === 0)
    return whole
  }

  async function sortedByIndex({ order, limit, offset, metadata }: FoundWindow): Promise<NodeRecord[] | undefined> {
    const [first] = order
    if (order.length !== 1 || !isIndexedField(first!.field) || ids.length > MERGED_REPOSITORIES) return undefined
    const merged = inOrderOf(first!.field, first!.direction, rules, project, dialect)
    const share = Math.ceil(lookAtMost / ids.length)
    const each = ids.map(
      (id) => sql`select * from (${merged.select(id, condition([]), offset + limit, share)}) as best`,
    )
    const best = sql.join(each, sql` union all `)
    const found = await rowsOf(reader, best, undefined, merged.order, limit, offset, metadata)
    return found.length < limit ? undefined : found
  }

  return {
    candidates,
    async count() {
      const { rows } = await sql<{ matches: number }>`select count(*) as matches from (
        select 1 from (${looked}) as found where ${matching} limit ${countUpTo + 1}) as counted`.execute(reader)
      const { matches } = rows[0]!
      if (matches > countUpTo) return { matches: countUpTo, more: true }
      return (await isWhole()) ? { matches, more: false } : undefined
    },
    async window(window, { more }) {
      const { order, limit, offset, metadata } = window
      if (order.length === 0) return rowsOf(reader, looked, matching, [], limit, offset, metadata)
      const quick = more ? await sortedByIndex(window) : undefined
      if (quick !== undefined) return quick
      if (more && !(await isWhole())) return undefined
      const terms = order.map(({ field, direction }) => sql`${sortValue(field)} ${sql.raw(direction)}`)
      const id = sql`id ${sql.raw(order[0]!.direction)}`
      return rowsOf(reader, looked, matching, [...terms, id], limit, offset, metadata)
    },
    async countByRepository() {
      if (!(await isWhole())) return undefined
      const { rows } = await sql<{ id: number; matches: number }>`select repo_id as id, count(*) as matches
        from (${looked}) as found where ${matching} group by repo_id`.execute(reader)
      return new Map(rows.map(({ id, matches }) => [id, matches]))
    },
  }
}

/** Few are, and not for long. While none is, an index can often tell the number of matches without their rows. */
async function hasExpired(reader: Reader, now: number): Promise<boolean> {
  const { rows } = await sql`select 1 from node
    where expires_at is not null and deleted_at is null and expires_at <= ${now} limit 1`.execute(reader)
  return rows.length > 0
}

async function choose(reader: Reader, planned: readonly Candidates[], repositories: Condition): Promise<Candidates> {
  if (planned.length <= 1) return planned[0] ?? everyNode(dialectOf(reader))
  let best: { readonly candidates: Candidates; readonly rows: number } | undefined
  for (const candidates of planned) {
    const { rows } = await sql<{
      found: number
    }>`select count(*) as found from (${candidates.entries(repositories, PROBED, 0)}) as probed`.execute(reader)
    const { found } = rows[0]!
    if (best === undefined || found < best.rows) best = { candidates, rows: found }
    if (found <= FEW) break
  }
  return best!.candidates
}

async function rowsOf(
  reader: Reader,
  found: RawBuilder<unknown>,
  where: Condition | undefined,
  order: readonly RawBuilder<unknown>[],
  limit: number,
  offset: number,
  metadata: FoundWindow['metadata'],
): Promise<NodeRecord[]> {
  const filter = where === undefined ? sql`` : sql`where ${where}`
  const sorting = order.length === 0 ? sql`` : sql`order by ${sql.join(order)}`
  const shown = metadata === 'with-metadata' ? sql`metadata` : sql`'[]' as metadata`
  const { rows } = await sql<NodeRow>`select ${COLUMNS}, ${shown} from (${found}) as found ${filter} ${sorting}
    limit ${limit} offset ${offset}`.execute(reader)
  return rows.map(toNode)
}

/** All but the metadata, which may be large. The compiler misses a column that is not here. */
const COLUMN_NAMES = {
  ...{ id: 1, repo_id: 1, path: 1, parent: 1, folder: 1, sha256: 1, md5: 1, crc64: 1, size: 1 },
  ...{ origin: 1, hlc: 1, via_link: 1, via_mark: 1, c0: 1, c1: 1, c2: 1, c3: 1, m0: 1, m1: 1, m2: 1, m3: 1 },
  ...{ expires_at: 1, created_by: 1, created_at: 1, modified_by: 1, modified_at: 1, accessed_at: 1 },
  ...{ deleted_by: 1, deleted_at: 1 },
} satisfies Record<Exclude<keyof NodeRow, 'metadata'>, 1>
const COLUMNS = sql.join(Object.keys(COLUMN_NAMES).map((name) => sql.ref(name)))
