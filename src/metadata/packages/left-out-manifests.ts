import { sql } from 'kysely'
import type { PackageKey } from '../../core/package-key.ts'
import type { Reader } from '../database.ts'

/** Name of an index of the package that was brought here without this manifest (`extension.leftOut`). Reads all indexes of the package. */
export async function leftOutOf(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  digest: string,
): Promise<string | undefined> {
  const { rows } = await sql<{ name: string; extension: string }>`select v.name, v.extension from package as p
    join package_version as v on v.package_id = p.id
    where p.repo_id = ${repoId} and p.key = ${key} and v.artifact_path like '%/list.manifest.json'
      and v.extension like ${`%"leftOut"%${digest}%`} order by v.id`.execute(reader)
  return rows.find(({ extension }) => {
    const { leftOut } = JSON.parse(extension) as { leftOut?: unknown }
    return Array.isArray(leftOut) && leftOut.includes(digest)
  })?.name
}
