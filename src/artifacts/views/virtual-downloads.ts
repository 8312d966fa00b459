import type { Clock } from '../../core/clock.ts'
import { type AppError, hasCode } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { nodesInLayers } from '../../metadata/nodes/merged-nodes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { folderDownload } from '../downloads/folder-download.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { fetches } from '../proxies/upstream-channel.ts'
import type { Asker } from './asker.ts'
import { type Member, membersOf } from './virtual-members.ts'

/** Asks a member that fetches. @throws AppError NODE_NOT_FOUND, UPSTREAM_FAILED. */
export type AskMember<T> = (member: Repository, stored: NodeRecord | undefined) => Promise<T>

export interface VirtualDownloads {
  /**
   * The first hit: files that users brought, in the order of the members, then members that fetch, in their order. Members that
   * the caller may not read are passed over, as if they did not have it.
   * @throws AppError NODE_NOT_FOUND, FOLDER_DOWNLOAD_DISABLED; UPSTREAM_FAILED when nobody has it and one could not be asked.
   */
  find<T>(
    virtual: Repository,
    path: NodePath,
    asker: Asker,
    kept: (file: NodeRecord) => T,
    ask: AskMember<T>,
  ): Promise<T>
}

export function createVirtualDownloads({
  db,
  clock,
}: {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
}): VirtualDownloads {
  return {
    async find(virtual, path, asker, kept, ask) {
      const members = await membersOf(db.read, virtual)
      const ids = members.map(({ repository }) => repository.id)
      const rows = new Map((await nodesInLayers(db.read, ids, path, clock.now())).map((node) => [node.repoId, node]))
      let folder = false
      for (const member of members) {
        const node = rows.get(member.repository.id)
        // A REMOTE member is asked below, though it may have the file: whether that is fresh is its matter.
        const isAsked = member.repository.category === 'REMOTE' && fetches(member.repository)
        if (node === undefined || isAsked) continue
        if (!(await isReadable(member, path, 'node', asker))) continue
        if (!node.folder) return kept(node)
        folder = true
      }
      let failure: AppError | undefined
      for (const member of members.filter(({ repository }) => fetches(repository))) {
        const node = rows.get(member.repository.id)
        if (!(await isReadable(member, path, 'node', asker))) continue
        if (node?.folder) {
          folder = true
          continue
        }
        try {
          return await ask(member.repository, node)
        } catch (error) {
          if (hasCode(error, 'UPSTREAM_FAILED')) failure ??= error
          else if (!hasCode(error, 'NODE_NOT_FOUND')) throw error
        }
      }
      if (folder) throw folderDownload(path)
      throw failure ?? nodeNotFound(path)
    },
  }
}

/** On the way to it, too. */
export async function isReadable(
  { repository, through }: Member,
  path: NodePath,
  extent: 'node' | 'tree',
  asker: Asker,
): Promise<boolean> {
  for (const one of [...through, repository]) if (!(await asker.mayRead(one, path, extent))) return false
  return true
}
