import { hash } from 'node:crypto'
import { parsePackagePath } from '../../core/package-key.ts'
import type { RunSpec } from './run-spec.ts'

/** What makes a link: one object of a task towards one cluster. The same link is found again by every run. */
export interface LinkIdentity {
  readonly taskKey: string
  readonly clusterId: string
  readonly localProject: string
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
}

/** 32 hex digits. */
export function linkKeyOf(link: LinkIdentity): string {
  const { taskKey, clusterId, localProject, localRepo, remoteProject, remoteRepo } = link
  return shortHash([taskKey, clusterId, localProject, localRepo, remoteProject, remoteRepo])
}

/**
 * A cursor says "all of this scope": with other paths (`PathSelection.identity`), or with
 * metadata or deletions that took no part before, it says nothing.
 */
export function scopeHashOf(
  selection: unknown,
  { includeMetadata, propagateDelete }: Pick<RunSpec, 'includeMetadata' | 'propagateDelete'>,
): string {
  return shortHash([selection, includeMetadata, ...(propagateDelete ? ['deletes'] : [])])
}

/** 24 hex digits: the same row on every retry, so that nothing is recorded twice (sync.md B.2, record_detail). */
export function detailIdOf(recordId: string, linkId: number, path: string): string {
  const place = parsePackagePath(path)
  const slots = place === undefined ? [null, null, path] : [place.key, place.version ?? null, null]
  return shortHash([recordId, linkId, ...slots]).slice(0, 24)
}

/** 48 bits of the hash of a record's id. */
export const runNumberOf = (recordId: string): number => Number.parseInt(shortHash([recordId]).slice(0, 12), 16)

function shortHash(parts: unknown): string {
  return hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32)
}
