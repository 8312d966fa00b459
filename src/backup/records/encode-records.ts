import type { MetadataEntry } from '../../core/metadata.ts'
import { type NodePath, nameOf, parentOf, ROOT } from '../../core/paths.ts'
import type { NodeRow, PackageRow, ProjectRow, RepositoryRow, VersionRow } from '../../metadata/backup/snapshot-rows.ts'
import type { VersionFile } from '../../metadata/packages/version-files.ts'
import type { PackageDocument, ProjectDocument, RepositoryDocument, VersionDocument } from './documents.ts'

/** Where a record belongs. */
export interface RecordPlace {
  readonly project: string
  readonly repo: string
}

interface AuthoredRow {
  readonly created_by: string
  readonly created_at: number
  readonly modified_by: string
  readonly modified_at: number
}

/** ISO 8601 in UTC. */
export const dateOf = (ms: number): string => new Date(ms).toISOString()

const authorsOf = (row: AuthoredRow) => ({
  createdBy: row.created_by,
  createdDate: dateOf(row.created_at),
  lastModifiedBy: row.modified_by,
  lastModifiedDate: dateOf(row.modified_at),
})

export const projectRecord = (row: ProjectRow): ProjectDocument => ({
  name: row.name,
  displayName: row.display_name,
  description: row.description,
  metadata: JSON.parse(row.metadata) as MetadataEntry[],
  ...authorsOf(row),
})

/** @param secrets sealed. */
export const repositoryRecord = (
  row: RepositoryRow,
  used: number,
  secrets: ReadonlyMap<string, string>,
): RepositoryDocument => ({
  projectId: row.project,
  name: row.name,
  type: row.type,
  category: row.category,
  public: row.public === 1,
  description: row.description,
  displayName: row.display_name,
  configuration: JSON.parse(row.configuration) as Record<string, unknown>,
  ...(secrets.size > 0 ? { secrets: Object.fromEntries(secrets) } : {}),
  quota: row.quota,
  used,
  display: row.display === 1,
  owner: row.owner,
  visibility: row.visibility,
  ...authorsOf(row),
})

export const packageRecord = ({ project, repo }: RecordPlace, row: PackageRow): PackageDocument => ({
  projectId: project,
  repoName: repo,
  key: row.key,
  name: row.name,
  description: row.description,
  latest: row.latest,
  versions: row.versions,
  downloads: row.downloads,
  versionTag: JSON.parse(row.version_tag) as Record<string, string>,
  extension: JSON.parse(row.extension) as Record<string, unknown>,
  ...authorsOf(row),
})

/** @param files leaves first. */
export const versionRecord = (
  { project, repo }: RecordPlace,
  row: VersionRow,
  files: readonly VersionFile[],
): VersionDocument => ({
  projectId: project,
  repoName: repo,
  packageKey: row.package_key,
  name: row.name,
  size: row.size,
  downloads: row.downloads,
  manifestPath: row.manifest_path,
  artifactPath: row.artifact_path,
  stageTag: JSON.parse(row.stage_tags) as string[],
  tags: JSON.parse(row.tags) as string[],
  metadata: JSON.parse(row.metadata) as MetadataEntry[],
  extension: JSON.parse(row.extension) as Record<string, unknown>,
  files: files.map(({ path, role }) => ({ path, role })),
  ...authorsOf(row),
})

/**
 * Lines of `NodeDocument`s with their ends. There are as many as there are files, so the text is put together without an object for
 * each: a third of the time.
 */
export function nodeEncoder({ project, repo }: RecordPlace): (row: NodeRow) => string {
  const date = lastDates()
  const place = `{"projectId":${JSON.stringify(project)},"repoName":${JSON.stringify(repo)},"folder":`
  return (row) => {
    const path = row.path as NodePath
    const parent = parentOf(path)
    const sha256 = row.sha256 === null ? 'null' : `"${hexOf(row.sha256)}"`
    return (
      `${place}${row.folder === 1},"path":${JSON.stringify(parent === ROOT ? ROOT : `${parent}/`)},"name":${JSON.stringify(nameOf(path))}` +
      `,"fullPath":${JSON.stringify(path)},"size":${row.size},"sha256":${sha256},"md5":${textOrNull(row.md5)}` +
      `,"crc64ecma":${textOrNull(row.crc64)},"metadata":${row.metadata},"expireDate":${date(row.expires_at)}` +
      `,"lastAccessDate":${date(row.accessed_at)},"createdBy":${JSON.stringify(row.created_by)}` +
      `,"createdDate":${date(row.created_at)},"lastModifiedBy":${JSON.stringify(row.modified_by)}` +
      `,"lastModifiedDate":${date(row.modified_at)}}\n`
    )
  }
}

const textOrNull = (text: string | null): string => (text === null ? 'null' : JSON.stringify(text))

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')

/** As JSON. Most files were modified when they were made, so the last moment is remembered. */
function lastDates(): (ms: number | null) => string {
  let known = Number.NaN
  let text = ''
  return (ms) => {
    if (ms === null) return 'null'
    if (ms === known) return text
    known = ms
    text = `"${dateOf(ms)}"`
    return text
  }
}
