import type { Transaction } from '../database.ts'
import { updatingRows } from '../sql/insert-rows.ts'

interface CountedVersion {
  readonly packageId: number
  readonly name: string
  readonly downloads: number
}
interface CountedPackage {
  readonly id: number
  readonly downloads: number
}

/** Counts that are higher than what is here take its place; the transaction holds the packages. */
export async function raiseDownloads(
  trx: Transaction,
  versions: readonly CountedVersion[],
  packages: readonly CountedPackage[],
): Promise<void> {
  await raiseVersions(
    trx,
    versions.filter(({ downloads }) => downloads > 0),
  )
  await raisePackages(
    trx,
    packages.filter(({ downloads }) => downloads > 0),
  )
}

const raiseVersions = updatingRows<CountedVersion>({
  columns: {
    package_id: ['bigint', ({ packageId }) => packageId],
    name: ['text', ({ name }) => name],
    downloads: ['bigint', ({ downloads }) => downloads],
  },
  statement: `update package_version set downloads = v.downloads from v
    where package_version.package_id = v.package_id and package_version.name = v.name and package_version.downloads < v.downloads`,
})
const raisePackages = updatingRows<CountedPackage>({
  columns: { id: ['bigint', ({ id }) => id], downloads: ['bigint', ({ downloads }) => downloads] },
  statement:
    'update package set downloads = v.downloads from v where package.id = v.id and package.downloads < v.downloads',
})
