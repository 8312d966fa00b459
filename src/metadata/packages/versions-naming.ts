import type { PackageKey } from '../../core/package-key.ts'
import type { Reader } from '../database.ts'

/** Names of versions of a package whose own document has the text in it, `limit` of them at most. @param text without `%` and `_`. */
export async function versionsNaming(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  text: string,
  limit: number,
): Promise<string[]> {
  const rows = await reader
    .selectFrom('package')
    .innerJoin('package_version', 'package_version.package_id', 'package.id')
    .where('package.repo_id', '=', repoId)
    .where('package.key', '=', key)
    .where('package_version.extension', 'like', `%${text}%`)
    .select('package_version.name')
    .limit(limit)
    .execute()
  return rows.map(({ name }) => name)
}
