import { sql } from 'kysely'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { Reader } from '../database.ts'

/** A version that is about another one; of several with the same digest one. */
export interface ReferringVersion {
  readonly digest: string
  readonly extension: Readonly<Record<string, unknown>>
  /** Its main file. */
  readonly content: Digest
  readonly sizeBytes: number
}

/** Ascending by digest. @param subject the digest, or what it begins with. @param after exclusive. */
export async function referringVersions(
  reader: Reader,
  repoId: number,
  key: PackageKey,
  subject: { readonly is: string } | { readonly beginsWith: string },
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<ReferringVersion[]> {
  const about =
    'is' in subject
      ? sql`v.subject = ${subject.is}`
      : sql`v.subject >= ${subject.beginsWith} and v.subject < ${`${subject.beginsWith}g`}`
  const { rows } = await sql<{ digest: string; extension: string; sha256: Uint8Array; size: number }>`
    select v.digest, v.extension, n.sha256, n.size from package as p
    join package_version as v on v.package_id = p.id
    join node as n on n.repo_id = p.repo_id and n.path = v.artifact_path and n.deleted_at is null and n.folder = 0
    where p.repo_id = ${repoId} and p.key = ${key} and ${about} and v.digest > ${after}
      and not exists (select 1 from package_version as twin
        where twin.package_id = v.package_id and twin.digest = v.digest and twin.id < v.id)
    order by v.digest limit ${limit}`.execute(reader)
  return rows.map(({ digest, extension, sha256, size }) => ({
    ...{ digest, extension: JSON.parse(extension) as Record<string, unknown> },
    ...{ content: digestFromBytes(sha256), sizeBytes: Number(size) },
  }))
}
