import type { HlcClock } from '../../core/hlc.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { retireNodes } from '../../metadata/nodes/node-writes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { foldersInUse, lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { deleteFiles } from '../nodes/node-writer.ts'
import { stampOver } from '../nodes/settle.ts'
import type { SliceResult, TreeWork } from './tree-work.ts'

/** Soft-deletes the files of a slice, and those folders of it in which nothing is left. */
export async function deleteSlice(
  trx: Transaction,
  hlc: HlcClock,
  { request: { source }, upToId, by, startedAt: at }: TreeWork,
  paths: readonly NodePath[],
): Promise<SliceResult> {
  const rows = known(await lockTreeRows(trx, source.id, paths), upToId)
  const files = rows.filter(({ folder }) => !folder)
  const stamp = { by, at, hlc: stampOver(hlc, files), origin: 0, viaLink: null }
  const gone = await deleteFiles(trx, source, files, stamp)
  const folders = await removeEmptyFolders(trx, source.id, rows, by, at)
  return { files: gone.files, folders, bytes: gone.bytes }
}

/** Rows that were there when the operation began: what came to their paths since is not its business. */
export const known = (rows: ReadonlyMap<NodePath, NodeRecord>, upToId: number): NodeRecord[] =>
  [...rows.values()].filter(({ id }) => id <= upToId)

/**
 * Soft-deletes those of the folders in which nothing lies but others that go as well. They come from `lockTreeRows`, so nobody
 * writes below them meanwhile. @returns how many went.
 */
export async function removeEmptyFolders(
  trx: Transaction,
  repoId: number,
  rows: readonly NodeRecord[],
  by: string,
  at: number,
): Promise<number> {
  const folders = rows.filter(({ folder }) => folder)
  const paths = folders.map(({ path }) => path)
  const ids = folders.map(({ id }) => id)
  const kept = await foldersInUse(trx, repoId, paths, ids)
  for (const path of [...kept])
    for (let up = parentOf(path); !kept.has(up) && up !== path; up = parentOf(up)) kept.add(up)
  const gone = folders.filter(({ path }) => !kept.has(path)).map(({ id }) => ({ id, by }))
  return gone.length === 0 ? 0 : retireNodes(trx, gone, at)
}
