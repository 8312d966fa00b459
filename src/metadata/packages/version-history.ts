import type { PackageKey } from '../../core/package-key.ts'
import type { Reader, Transaction } from '../database.ts'

/** A version that was deleted. The memory outlives its package. */
export interface DeletedVersion {
  readonly packageKey: PackageKey
  readonly name: string
}

export async function rememberVersions(
  trx: Transaction,
  repoId: number,
  versions: readonly DeletedVersion[],
  by: string,
  at: number,
): Promise<void> {
  for (let from = 0; from < versions.length; from += ROWS_PER_INSERT) {
    const rows = versions.slice(from, from + ROWS_PER_INSERT).map(({ packageKey, name }) => ({
      repo_id: repoId,
      package_key: packageKey,
      version: name,
      deleted_by: by,
      deleted_at: at,
    }))
    await trx
      .insertInto('version_history')
      .values(rows)
      .onConflict((oc) =>
        oc.columns(['repo_id', 'package_key', 'version']).doUpdateSet((eb) => ({
          deleted_by: eb.ref('excluded.deleted_by'),
          deleted_at: eb.ref('excluded.deleted_at'),
        })),
      )
      .execute()
  }
}

export async function wasDeleted(reader: Reader, repoId: number, key: PackageKey, version: string): Promise<boolean> {
  const row = await of(reader, repoId, [key]).where('version', '=', version).select('version').executeTakeFirst()
  return row !== undefined
}

/** By package key: the names of its deleted versions, ascending. At most 1,000 keys. */
export async function deletedVersions(
  reader: Reader,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<Map<PackageKey, string[]>> {
  if (keys.length === 0) return new Map()
  const rows = await of(reader, repoId, keys).select(['package_key', 'version']).orderBy('version').execute()
  const found = new Map<PackageKey, string[]>()
  for (const { package_key, version } of rows) {
    const names = found.get(package_key as PackageKey) ?? []
    names.push(version)
    found.set(package_key as PackageKey, names)
  }
  return found
}

const of = (reader: Reader, repoId: number, keys: readonly PackageKey[]) =>
  reader.selectFrom('version_history').where('repo_id', '=', repoId).where('package_key', 'in', keys)

const ROWS_PER_INSERT = 250
