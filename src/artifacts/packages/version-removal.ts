import { sameLanes } from '../../core/lanes.ts'
import { packagePath, versionPath } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges, type Change } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import { type Deletion, saveTombstones } from '../../metadata/nodes/node-writes.ts'
import { deletePackages, type PackageRecord, savePackages, standings } from '../../metadata/packages/packages.ts'
import { rememberVersions } from '../../metadata/packages/version-history.ts'
import { deleteVersionRows, type KeyedVersion } from '../../metadata/packages/versions.ts'
import { changeOfPackage, changeOfVersion, lanesOfPackage } from './version-rows.ts'

/**
 * Deletes versions: their rows, their claims on files and the tags that point at them; the packages that have no other go as well. The
 * files themselves are the caller's. All of the versions belong to `packages`, which the transaction has locked.
 */
export async function removeVersions(
  trx: Transaction,
  repoId: number,
  packages: readonly PackageRecord[],
  versions: readonly KeyedVersion[],
  deletion: Deletion,
): Promise<void> {
  if (versions.length === 0) return
  await deleteVersionRows(
    trx,
    versions.map(({ id }) => id),
  )
  const listed = versions.filter((version) => version.listed)
  await rememberVersions(trx, repoId, listed, deletion.by, deletion.at)
  const paths = versions.map(({ packageKey, name }) => versionPath(packageKey, name) as NodePath)
  await saveTombstones(trx, repoId, paths, deletion)
  await appendChanges(
    trx,
    versions.map((version) => changeOfVersion(version, undefined, deletion)),
  )
  const without = Map.groupBy(versions, ({ packageId }) => packageId)
  const touched = packages.filter(({ id }) => without.has(id))
  await settlePackages(
    trx,
    touched.map((before) => {
      const names = new Set(without.get(before.id)!.map(({ name }) => name))
      const kept = Object.entries(before.versionTag).filter(([, name]) => !names.has(name))
      return { before, wanted: { ...before, versionTag: Object.fromEntries(kept) } }
    }),
    deletion,
  )
}

export interface PackageChange {
  /** Undefined: it was made in this transaction. */
  readonly before: PackageRecord | undefined
  readonly wanted: PackageRecord
  /** Who said what is new, where that is somebody else than who changed its versions. */
  readonly saidBy?: Deletion
  /** When, in UTC epoch ms, where that is not the moment of the change. */
  readonly saidAt?: number | undefined
}
/**
 * Writes packages whose versions or words changed, with what is derived from the versions they have now; those without a version
 * go. The transaction has locked them. @returns those that are left.
 */
export async function settlePackages(
  trx: Transaction,
  changes: readonly PackageChange[],
  stamp: Deletion,
): Promise<PackageRecord[]> {
  const standing = await standings(
    trx,
    changes.map(({ wanted }) => wanted.id),
  )
  const gone = changes.filter(({ wanted }) => !standing.has(wanted.id))
  const left = changes.flatMap(({ before, wanted, saidBy = stamp, saidAt = saidBy.at }) => {
    const found = standing.get(wanted.id)
    if (found === undefined) return []
    const latest = wanted.versionTag.latest ?? found.highest
    const metadataLanes = lanesOfPackage(wanted)
    const isSaid = before === undefined || !sameLanes(before.metadataLanes, metadataLanes)
    const after = { ...wanted, metadataLanes, latest, versions: found.versions }
    return [{ before, isSaid, saidBy, after: isSaid ? { ...after, ...stamped(saidBy, saidAt) } : after }]
  })
  const records = left.map(({ after }) => after)
  await savePackages(trx, records)
  await deletePackages(
    trx,
    gone.map(({ wanted }) => wanted.id),
  )
  const known = gone.flatMap(({ before }) => before ?? [])
  await saveTombstones(
    trx,
    changes[0]!.wanted.repoId,
    known.map(({ key }) => packagePath(key) as NodePath),
    stamp,
  )
  await appendChanges(trx, [
    ...known.map((before): Change => changeOfPackage(before, undefined, stamp)),
    ...left.flatMap(({ before, after, isSaid, saidBy }) => (isSaid ? [changeOfPackage(before, after, saidBy)] : [])),
  ])
  return records
}

/** A change of what is said about it; counts alone leave the stamp as it is. */
const stamped = ({ hlc, origin, viaLink, by }: Deletion, modifiedAt: number) => ({
  ...{ hlc, origin, viaLink },
  ...{ modifiedBy: by, modifiedAt },
})
