import type { Ids } from '../../core/ids.ts'
import type { Given } from '../../metadata/access/copied-access.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { AccessCounts, CopiedProject } from '../../remotes/cluster/access-messages.ts'

/** One message being applied. */
export interface Copying {
  readonly trx: Transaction
  readonly ids: Ids
  /** Stands in for the source wherever it writes: what it wrote last it may write again. */
  readonly by: { readonly userId: string; readonly at: number }
  readonly caller: string
}
/** One project of it. */
export interface CopyPlace {
  readonly copied: CopiedProject
  /** Of the cluster and its project. */
  readonly sourceId: string
  /** Here, by name. */
  readonly repoIds: ReadonlyMap<string, number>
}

export const NOTHING_GIVEN: Given = { users: [], roles: [], repos: [] }

/** What was there, without what the source gave and names no more, with all that it names; ascending. */
export function merged<T extends string | number>(there: readonly T[], before: readonly T[], now: readonly T[]): T[] {
  const named = new Set(now)
  const taken = new Set(before.filter((one) => !named.has(one)))
  return [...new Set([...there.filter((one) => !taken.has(one)), ...now])].sort(ascending)
}
const ascending = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0)

export const isSame = (a: readonly (string | number)[], b: readonly (string | number)[]): boolean =>
  a.length === b.length && a.every((one) => b.includes(one))

export type Change = keyof AccessCounts
export const noCounts = (): AccessCounts => ({ created: 0, updated: 0, deleted: 0, unchanged: 0, kept: 0 })
export function counted(changes: readonly Change[]): AccessCounts {
  const counts = { ...noCounts() } as Record<Change, number>
  for (const change of changes) counts[change]++
  return counts
}
export const summed = (a: AccessCounts, b: AccessCounts): AccessCounts => ({
  created: a.created + b.created,
  updated: a.updated + b.updated,
  deleted: a.deleted + b.deleted,
  unchanged: a.unchanged + b.unchanged,
  kept: a.kept + b.kept,
})
