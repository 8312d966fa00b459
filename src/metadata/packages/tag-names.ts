import { sql } from 'kysely'
import type { PackageKey } from '../../core/package-key.ts'
import type { Reader } from '../database.ts'

/**
 * Names of the listed versions that have a digest, in the order of their letters whatever their case; equal ones by bytes. The index
 * `package_version_tag` serves it. @param after exclusive; any text.
 */
export async function tagNames(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
): Promise<string[]> {
  const from = after === undefined ? sql`` : sql`and (lower(v.name), v.name) > (${lower(after)}, ${after})`
  const { rows } = await sql<{ name: string }>`select v.name from package as p
    join package_version as v on v.package_id = p.id
    where p.repo_id = ${repoId} and p.key = ${key} and v.listed = 1 and v.digest is not null ${from}
    order by lower(v.name), v.name limit ${limit}`.execute(reader)
  return rows.map(({ name }) => name)
}

/** As the databases do it. */
const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
