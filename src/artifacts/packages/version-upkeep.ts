import { sameLanes } from '../../core/lanes.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import { lockPackages } from '../../metadata/packages/packages.ts'
import { type ClaimedFile, claimants, claimedFiles, deleteVoidClaims } from '../../metadata/packages/version-files.ts'
import { type KeyedVersion, refreshVersions, versionsById } from '../../metadata/packages/versions.ts'
import { removeVersions } from './version-removal.ts'
import { changeOfVersion, lanesOfFiles, sizeOfFiles } from './version-rows.ts'

/**
 * Called in the transaction that deleted or replaced files at these paths, whoever did it: a version whose main file is gone goes, one
 * that lost another file goes on without it, one whose file has other bytes now says so. What a version that goes had claimed
 * besides stays as plain files. One query when no version claims any of the paths.
 */
export async function keepVersions(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
  stamp: Deletion,
): Promise<void> {
  const claims = await claimants(trx, repoId, paths)
  if (claims.length === 0) return
  const packages = await lockPackages(trx, [...new Set(claims.map(({ packageId }) => packageId))])
  // Read again, now that nobody else changes them.
  const versions = await versionsById(
    trx,
    repoId,
    claims.map(({ versionId }) => versionId),
  )
  const ids = versions.map(({ id }) => id)
  const files = Map.groupBy(await claimedFiles(trx, ids), ({ versionId }) => versionId)
  const filesOf = ({ id }: KeyedVersion): Live[] => (files.get(id) ?? []).filter((file) => isLive(file))
  const isGone = (version: KeyedVersion) => !filesOf(version).some(({ role }) => role === 'main')

  const refreshed = versions.flatMap((version) => {
    if (isGone(version)) return []
    const live = filesOf(version)
    const contentLanes = lanesOfFiles(version.packageKey, version.name, live)
    if (sameLanes(contentLanes, version.contentLanes)) return []
    const sizeBytes = sizeOfFiles(version.digest, live)
    const { by, at, hlc, origin, viaLink } = stamp
    const change = { sizeBytes, contentLanes, modifiedBy: by, modifiedAt: at, hlc, origin, viaLink }
    return [{ before: version, after: { ...version, ...change } }]
  })
  await deleteVoidClaims(trx, ids)
  await refreshVersions(
    trx,
    refreshed.map(({ after }) => after),
  )
  await appendChanges(
    trx,
    refreshed.map(({ before, after }) => changeOfVersion(before, after, stamp)),
  )
  await removeVersions(trx, repoId, packages, versions.filter(isGone), stamp)
}

type Live = ClaimedFile & { readonly digest: NonNullable<ClaimedFile['digest']> }
const isLive = (file: ClaimedFile): file is Live => file.digest !== undefined
