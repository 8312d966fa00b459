import { settle } from '../../artifacts/nodes/settle.ts'
import { removeEmptyFolders } from '../../artifacts/trees/tree-removal.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import type { DeleteFrame } from '../../remotes/cluster/frames/frame.ts'
import type { Applied } from './apply-batch.ts'
import type { ItemFrame } from './incoming-batch.ts'

/**
 * Folders end with the last file in them that a deletion took, unless somebody has described them. After the deletions, in a
 * transaction of its own: it locks folders as their writers do not, and a folder that stays because the process died is empty, and in
 * nobody's way.
 */
export async function pruneFolders(
  db: MetadataDatabase,
  repoId: number,
  items: readonly ItemFrame[],
  { exceptions }: Applied,
  now: number,
): Promise<void> {
  const left = new Set(exceptions.flatMap(({ item, result }) => (result === 'delivered' ? [] : [item])))
  const deletions = items.filter((frame): frame is DeleteFrame => frame.type === 'delete' && !left.has(frame.item))
  const [first] = deletions
  if (first === undefined) return
  const folders = [...new Set(deletions.flatMap(({ path }) => ancestorsOf(path as NodePath)))]
  await settle(() =>
    db.transact(async (trx) => {
      const rows = await lockTreeRows(trx, repoId, folders)
      const plain = [...rows.values()].filter(({ folder, metadata }) => folder && metadata.length === 0)
      await removeEmptyFolders(trx, repoId, plain, first.deletedBy, now)
    }),
  )
}
