import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

export interface VersionSize {
  readonly packageKey: string
  readonly version: string
  readonly sizeBytes: number
}

/** Of the listed versions of a repository. @param keys packages; undefined: all. */
export async function versionSizes(
  reader: Reader,
  repoId: number,
  keys: readonly string[] | undefined,
): Promise<VersionSize[]> {
  let query = reader
    .selectFrom('package_version as v')
    .innerJoin('package as p', 'p.id', 'v.package_id')
    .where('p.repo_id', '=', repoId)
    .where('v.listed', '=', 1)
    .select(['p.key as packageKey', 'v.name as version', 'v.size as sizeBytes'])
  if (keys !== undefined) query = query.where(anyOf(reader, 'p.key', keys))
  return query.orderBy('p.key').orderBy('v.name').execute()
}
