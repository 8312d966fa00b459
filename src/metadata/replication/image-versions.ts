import { sql } from 'kysely'
import { type PackageKey, parsePackagePath, versionPath } from '../../core/package-key.ts'
import type { Reader } from '../database.ts'
import { givenRows } from '../sql/given-rows.ts'

/** A version of an image as far as others are about it, and it is about others. */
export interface ImageVersion {
  /** Where it stands among paths. */
  readonly path: string
  readonly packageKey: PackageKey
  readonly name: string
  readonly digest: string | null
  readonly subject: string | null
}
/** A manifest of an image, by the digest that clients name. */
export interface ManifestName {
  readonly packageKey: PackageKey
  readonly digest: string
}

/** Versions at these places. At most 2,000. */
export async function imageVersionsAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<ImageVersion[]> {
  const named = paths.flatMap((path) => {
    const { key, version } = parsePackagePath(path) ?? {}
    return key === undefined || version === undefined ? [] : [{ packageKey: key, name: version }]
  })
  return imageVersionsNamed(reader, repoId, named)
}

/** Versions with these names. */
export const imageVersionsNamed = (
  reader: Reader,
  repoId: number,
  named: readonly Pick<ImageVersion, 'packageKey' | 'name'>[],
): Promise<ImageVersion[]> =>
  joined(
    reader,
    repoId,
    named.map(({ packageKey, name }) => [packageKey, name]),
    'name',
  )
/** Versions that have one of these digests. */
export const imageVersionsWith = (
  reader: Reader,
  repoId: number,
  manifests: readonly ManifestName[],
): Promise<ImageVersion[]> => joined(reader, repoId, pairsOf(manifests), 'digest')
/** Versions whose subject is one of these. */
export const imageVersionsAbout = (
  reader: Reader,
  repoId: number,
  manifests: readonly ManifestName[],
): Promise<ImageVersion[]> => joined(reader, repoId, pairsOf(manifests), 'subject')

const pairsOf = (manifests: readonly ManifestName[]) =>
  manifests.map(({ packageKey, digest }) => [packageKey, digest] as const)

interface Row {
  readonly key: string
  readonly name: string
  readonly digest: string | null
  readonly subject: string | null
}
async function joined(
  reader: Reader,
  repoId: number,
  pairs: readonly (readonly [string, string])[],
  column: 'name' | 'digest' | 'subject',
): Promise<ImageVersion[]> {
  if (pairs.length === 0) return []
  const given = givenRows(reader, 'g', { key: 'text', value: 'text' }, pairs)
  const { rows } = await sql<Row>`select distinct p.key, v.name, v.digest, v.subject from ${given}
    join package as p on p.repo_id = ${repoId} and p.key = g.key
    join package_version as v on v.package_id = p.id and ${sql.ref(`v.${column}`)} = g.value`.execute(reader)
  return rows.map(({ key, ...row }) => {
    const packageKey = key as PackageKey
    return { path: versionPath(packageKey, row.name), packageKey, ...row }
  })
}

/** Paths of the documents that the versions at these places name: the manifests of an index. */
export async function namedDocuments(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<{ readonly owner: string; readonly packageKey: PackageKey; readonly path: string }[]> {
  const named = paths.flatMap((path) => {
    const { key, version } = parsePackagePath(path) ?? {}
    return key === undefined || version === undefined ? [] : [[key, version] as const]
  })
  if (named.length === 0) return []
  const given = givenRows(reader, 'g', { key: 'text', name: 'text' }, named)
  const { rows } = await sql<{ key: string; name: string; path: string }>`select p.key, v.name, f.path from ${given}
    join package as p on p.repo_id = ${repoId} and p.key = g.key
    join package_version as v on v.package_id = p.id and v.name = g.name
    join version_file as f on f.version_id = v.id and f.role = 'manifest'`.execute(reader)
  return rows.map(({ key, name, path }) => {
    const packageKey = key as PackageKey
    return { owner: versionPath(packageKey, name), packageKey, path }
  })
}
