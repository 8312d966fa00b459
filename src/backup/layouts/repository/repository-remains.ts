import type { BackupLocation, ChildName } from '../../../storage/backup-location.ts'
import { parseSnapshotName } from './repository-place.ts'
import { isObjectId } from './sealed-object.ts'

const PARTS: readonly { readonly folder: string; readonly isPart: (child: ChildName) => boolean }[] = [
  { folder: 'snapshots', isPart: ({ name, kind }) => kind === 'object' && parseSnapshotName(name) !== undefined },
  { folder: 'index', isPart: ({ name, kind }) => kind === 'object' && isObjectId(name) },
  { folder: 'data', isPart: ({ name, kind }) => kind === 'folder' && /^[0-9a-f]{2}$/.test(name) },
]

/** Whether a repository lies there, as far as anything but its config tells. No folder of other runs looks so. */
export async function hasRemains(location: BackupLocation, signal: AbortSignal): Promise<boolean> {
  for (const { folder, isPart } of PARTS) {
    if ((await location.children(folder, signal)).some(isPart)) return true
  }
  return false
}
