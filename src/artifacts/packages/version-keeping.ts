import type { Digest } from '../../core/digest.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { addVersionFiles, type VersionFile } from '../../metadata/packages/version-files.ts'
import { digestsHeld, type KeyedVersion, putVersions } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { type FileWrite, putFiles } from '../nodes/node-writer.ts'
import { identityOf, type PackageRules } from './package-rules.ts'
import type { VersionPart } from './version-draft.ts'
import { changeOfVersion, lanesOfFiles, lanesOfVersion, sizeOfFiles } from './version-rows.ts'

/** A version whose name is given to another, or is taken away. */
export interface Displaced {
  readonly version: KeyedVersion
  /** Its files as they were, leaves first. */
  readonly files: readonly Pick<VersionFile, 'path' | 'role'>[]
  /** Who does it. */
  readonly stamp: Deletion
}

/** Under which name a version would stay, and where its main file would lie; undefined: it would go. */
export function keptPlace(
  rules: PackageRules,
  version: KeyedVersion | undefined,
): { readonly version: string; readonly path: NodePath } | undefined {
  if (version === undefined) return undefined
  const kept = rules.keptAs?.(identityOf(rules, version.name, version.extension))
  if (kept === undefined || kept.version === version.name) return undefined
  return { version: kept.version, path: kept.mainPath(version.artifactPath) }
}

/**
 * Keeps displaced versions under the name of their digest, where the format wants that and no other version has it. The transaction has
 * locked the nodes of their files and at `keptPlace`, has touched the blobs of their main files, and holds their packages.
 * @param current what was locked, as it was before anything was written over it.
 * @param leaving ids of versions that are about to go.
 */
export async function keepDisplaced(
  trx: Transaction,
  repository: Repository,
  displaced: readonly Displaced[],
  leaving: readonly number[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  rules: PackageRules,
  at: number,
): Promise<void> {
  const candidates = displaced.flatMap((one) => {
    const [place, { digest }] = [keptPlace(rules, one.version), one.version]
    const main = current.get(one.version.artifactPath)
    return place === undefined || digest === null || !isFile(main) ? [] : [{ ...one, place, digest, main }]
  })
  const wanted = candidates.map(({ version: { packageId }, digest }) => ({ packageId, digest }))
  const held = await digestsHeld(trx, wanted, leaving)
  const missing = candidates.filter(({ version, digest }) => !held.has(`${version.packageId}/${digest}`))
  const kept = [...new Map(missing.map((one) => [`${one.version.packageId}/${one.place.version}`, one])).values()]
  if (kept.length === 0) return

  const writes = kept.flatMap(({ place: { path }, main, stamp }): FileWrite[] => {
    if (current.get(path)?.digest === main.digest) return []
    const { digest, sizeBytes, md5, crc64, metadata, createdBy, createdAt } = main
    const content = { path, digest, sizeBytes, md5: md5 ?? undefined, crc64: crc64 ?? undefined, metadata }
    return [{ ...content, createdBy, createdAt, expiresAt: undefined, ...writtenBy(stamp) }]
  })
  for (let from = 0; from < writes.length; from += FILES_AT_ONCE) {
    await putFiles(trx, repository, writes.slice(from, from + FILES_AT_ONCE), current, at)
  }
  const made = kept.map(({ version, files, place, stamp }) => {
    const { packageKey, extension, createdAt } = version
    const parts = files.flatMap(({ path, role }): VersionPart[] => {
      const node = current.get(path)
      if (!isFile(node)) return []
      return [{ path: role === 'main' ? place.path : path, role, digest: node.digest, sizeBytes: node.sizeBytes }]
    })
    const row: Omit<KeyedVersion, 'id'> = {
      ...version,
      name: place.version,
      ...rules.orderOf(place.version, createdAt),
      ...identityOf(rules, place.version, extension),
      sizeBytes: sizeOfFiles(version.digest, parts),
      downloads: 0,
      artifactPath: place.path,
      ...manifestAt(version, place.path),
      contentLanes: lanesOfFiles(packageKey, place.version, parts),
      metadataLanes: lanesOfVersion(packageKey, {
        ...version,
        name: place.version,
        ...manifestAt(version, place.path),
      }),
      ...{ modifiedBy: stamp.by, modifiedAt: at, hlc: stamp.hlc, origin: stamp.origin },
      // Whose version it was: who brings another over it has not brought this one.
      ...{ viaLink: version.viaLink, viaMark: null },
    }
    return { row, parts, stamp }
  })
  const ids = await putVersions(
    trx,
    made.map(({ row }) => row),
  )
  const claims = made.map(({ parts }, index) => ({ versionId: ids[index]!, files: parts }))
  await addVersionFiles(trx, repository.id, claims)
  await appendChanges(
    trx,
    made.map(({ row, stamp }, index) => changeOfVersion(undefined, { ...row, id: ids[index]! }, { ...stamp, at })),
  )
}

const manifestAt = ({ manifestPath, artifactPath }: KeyedVersion, path: NodePath) => ({
  manifestPath: manifestPath === artifactPath ? path : manifestPath,
})
const writtenBy = ({ by, at, hlc, origin, viaLink }: Deletion) => ({
  ...{ modifiedBy: by, modifiedAt: at, hlc, origin },
  ...{ viaLink: viaLink ?? undefined, viaMark: undefined },
})

type StoredFile = NodeRecord & { readonly digest: Digest }
const isFile = (node: NodeRecord | undefined): node is StoredFile => node?.digest !== undefined && !node.folder

/** Of one call: `putFiles` takes no more at once. */
const FILES_AT_ONCE = 500
