import { sql } from 'kysely'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import { type NodeRecord, toNode } from '../nodes/nodes.ts'
import { anyOf } from '../sql/any-of.ts'
import { insertingRows } from '../sql/insert-rows.ts'

/** A version claims the node at a path. */
export interface VersionFile {
  readonly versionId: number
  readonly path: NodePath
  /** `main`, or a word of the format. */
  readonly role: string
}
/** With what is at the path: undefined digest when no live file is there any more. */
export interface ClaimedFile extends VersionFile {
  readonly digest: Digest | undefined
  readonly sizeBytes: number
}

/** Leaves first. */
export async function filesOfVersions(reader: Reader, versionIds: readonly number[]): Promise<VersionFile[]> {
  if (versionIds.length === 0) return []
  const rows = await reader
    .selectFrom('version_file')
    .where(anyOf(reader, 'version_id', versionIds))
    .select(['version_id', 'path', 'role'])
    .orderBy('version_id')
    .orderBy('ord')
    .execute()
  return rows.map(({ version_id, path, role }) => ({ versionId: version_id, path: path as NodePath, role }))
}

/** How many files each of the versions has; one without any is left out. */
export async function claimsOfVersions(reader: Reader, versionIds: readonly number[]): Promise<Map<number, number>> {
  if (versionIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('version_file')
    .where(anyOf(reader, 'version_id', versionIds))
    .select((eb) => ['version_id', eb.fn.countAll<number>().as('files')])
    .groupBy('version_id')
    .execute()
  return new Map(rows.map(({ version_id, files }) => [version_id, Number(files)]))
}

/** Leaves first, with the nodes as they are now; files whose node expired or is gone are left out. */
export async function nodesOfVersion(
  reader: Reader,
  versionId: number,
  now: number,
): Promise<{ readonly role: string; readonly node: NodeRecord }[]> {
  const rows = await reader
    .selectFrom('version_file')
    .innerJoin('node', (join) =>
      join.onRef('node.repo_id', '=', 'version_file.repo_id').onRef('node.path', '=', 'version_file.path'),
    )
    .where('version_file.version_id', '=', versionId)
    .where('node.deleted_at', 'is', null)
    .where((eb) => eb.or([eb('node.expires_at', 'is', null), eb('node.expires_at', '>', now)]))
    .selectAll('node')
    .select('version_file.role')
    .orderBy('version_file.ord')
    .execute()
  return rows.map(({ role, ...row }) => ({ role, node: toNode(row) }))
}

/** Of versions, with what is at their paths. */
export async function claimedFiles(reader: Reader, versionIds: readonly number[]): Promise<ClaimedFile[]> {
  if (versionIds.length === 0) return []
  const rows = await reader
    .selectFrom('version_file')
    .leftJoin('node', (join) =>
      join
        .onRef('node.repo_id', '=', 'version_file.repo_id')
        .onRef('node.path', '=', 'version_file.path')
        .on('node.deleted_at', 'is', null)
        .on('node.folder', '=', 0),
    )
    .where(anyOf(reader, 'version_file.version_id', versionIds))
    .select(['version_file.version_id', 'version_file.path', 'version_file.role', 'node.sha256', 'node.size'])
    .orderBy('version_file.version_id')
    .orderBy('version_file.ord')
    .execute()
  return rows.map((row) => ({
    versionId: row.version_id,
    path: row.path as NodePath,
    role: row.role,
    digest: row.sha256 === null ? undefined : digestFromBytes(row.sha256),
    sizeBytes: row.size ?? 0,
  }))
}

/** Versions that claim any of the paths, and the packages they belong to. */
export async function claimants(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
): Promise<{ readonly versionId: number; readonly packageId: number }[]> {
  if (paths.length === 0) return []
  const rows = await reader
    .selectFrom('version_file')
    .innerJoin('package_version', 'package_version.id', 'version_file.version_id')
    .where('version_file.repo_id', '=', repoId)
    .where(anyOf(reader, 'version_file.path', paths))
    .select(['version_file.version_id', 'package_version.package_id'])
    .distinct()
    .execute()
  return rows.map(({ version_id, package_id }) => ({ versionId: version_id, packageId: package_id }))
}

/** Those of the paths that a version other than these claims. */
export async function claimedByOthers(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
  versionIds: readonly number[],
): Promise<Set<NodePath>> {
  if (paths.length === 0) return new Set()
  let query = reader
    .selectFrom('version_file')
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
  if (versionIds.length > 0) query = query.where(sql<boolean>`not ${anyOf(reader, 'version_id', versionIds)}`)
  const rows = await query.select('path').distinct().execute()
  return new Set(rows.map(({ path }) => path as NodePath))
}

/** Who claims each of the paths. */
export async function claimsAt(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
): Promise<{ readonly path: NodePath; readonly versionId: number }[]> {
  if (paths.length === 0) return []
  const rows = await reader
    .selectFrom('version_file')
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'path', paths))
    .select(['path', 'version_id'])
    .execute()
  return rows.map(({ path, version_id }) => ({ path: path as NodePath, versionId: version_id }))
}

/** Takes all claims of these versions away. */
export async function dropVersionFiles(trx: Transaction, versionIds: readonly number[]): Promise<void> {
  if (versionIds.length === 0) return
  await trx
    .deleteFrom('version_file')
    .where(anyOf(trx, 'version_id', versionIds))
    .execute()
}
const insertClaims = insertingRows<'version_file', VersionFile & { readonly repoId: number; readonly ord: number }>({
  into: 'version_file',
  columns: {
    version_id: ['bigint', ({ versionId }) => versionId],
    ord: ['bigint', ({ ord }) => ord],
    repo_id: ['bigint', ({ repoId }) => repoId],
    path: ['text', ({ path }) => path],
    role: ['text', ({ role }) => role],
  },
})
/** Of versions that claim nothing so far, each with its files in their order. */
export async function addVersionFiles(
  trx: Transaction,
  repoId: number,
  versions: readonly { readonly versionId: number; readonly files: readonly Omit<VersionFile, 'versionId'>[] }[],
): Promise<void> {
  const rows = versions.flatMap(({ versionId, files }) =>
    files.map(({ path, role }, ord) => ({ versionId, ord, repoId, path, role })),
  )
  await insertClaims(trx, rows)
}

/** Claims of these versions on paths where no live file is any more. */
export async function deleteVoidClaims(trx: Transaction, versionIds: readonly number[]): Promise<void> {
  if (versionIds.length === 0) return
  await trx
    .deleteFrom('version_file')
    .where(anyOf(trx, 'version_id', versionIds))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('node')
            .whereRef('node.repo_id', '=', 'version_file.repo_id')
            .whereRef('node.path', '=', 'version_file.path')
            .where('node.deleted_at', 'is', null)
            .where('node.folder', '=', 0)
            .select('node.id'),
        ),
      ),
    )
    .execute()
}
