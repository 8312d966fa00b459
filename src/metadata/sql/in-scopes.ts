import { type RawBuilder, sql } from 'kysely'
import { rangesOfTree } from '../../core/path-range.ts'
import { foldersToward, type PathScope } from '../../core/path-scope.ts'
import { inRanges } from './in-ranges.ts'

type Condition = RawBuilder<boolean>

/** Nodes whose path any of the scopes holds, and the folders on the way to them: what a listing shows. No scope: no node. */
export function inScopes(scopes: readonly PathScope[]): Condition {
  const toward = [...new Set(scopes.flatMap(foldersToward))]
  const ways = toward.length === 0 ? [] : [sql<boolean>`(folder = 1 and path in (${sql.join(toward)}))`]
  const conditions = [...scopes.map(inScope), ...ways]
  return conditions.length === 0 ? sql<boolean>`1 = 0` : sql<boolean>`(${sql.join(conditions, sql` or `)})`
}

function inScope({ include, exclude }: PathScope): Condition {
  const within = include.length === 0 ? sql<boolean>`1 = 1` : inRanges(include.flatMap(rangesOfTree))
  if (exclude.length === 0) return within
  return sql<boolean>`(${within} and not ${inRanges(exclude.flatMap(rangesOfTree))})`
}
