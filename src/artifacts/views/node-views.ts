import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import { type NodePath, ROOT } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { nodesInLayers, pageLayers, sizeOfLayers } from '../../metadata/nodes/merged-nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { type NodeListing, type NodeRecord, type Nodes, nodeNotFound, rootOf } from '../nodes/nodes.ts'
import type { Asker } from './asker.ts'
import { isReadable } from './virtual-downloads.ts'
import { membersOf } from './virtual-members.ts'

/**
 * What users see in a repository: as `Nodes` has it, and in a VIRTUAL one its members laid over each other, those in front that
 * come first, without those that the caller may not read at this place. Only what is stored is shown: nothing is fetched.
 */
export interface NodeViews {
  /** @throws AppError NODE_NOT_FOUND. */
  get(repository: Repository, path: NodePath, asker: Asker): Promise<NodeRecord>
  /** @throws AppError NODE_NOT_FOUND, NODE_CONFLICT for a file. */
  page(
    repository: Repository,
    path: NodePath,
    listing: NodeListing,
    page: PageRequest,
    asker: Asker,
  ): Promise<Page<NodeRecord>>
  /** Nodes below (0 for a file) and bytes. @throws AppError NODE_NOT_FOUND. */
  size(
    repository: Repository,
    path: NodePath,
    asker: Asker,
  ): Promise<{ readonly nodes: number; readonly bytes: number }>
}

interface NodeViewDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly nodes: Pick<Nodes, 'get' | 'page' | 'size'>
}

export function createNodeViews({ db, clock, nodes }: NodeViewDeps): NodeViews {
  async function layersOf(virtual: Repository, path: NodePath, asker: Asker): Promise<number[]> {
    const layers: number[] = []
    for (const member of await membersOf(db.read, virtual)) {
      if (await isReadable(member, path, 'tree', asker)) layers.push(member.repository.id)
    }
    return layers
  }
  async function topOf(virtual: Repository, layers: readonly number[], path: NodePath): Promise<NodeRecord> {
    if (path === ROOT) return rootOf(virtual)
    const [top] = await nodesInLayers(db.read, layers, path, clock.now())
    if (top === undefined) throw nodeNotFound(path)
    return top
  }
  return {
    async get(repository, path, asker) {
      if (repository.category !== 'VIRTUAL') return nodes.get(repository, path)
      if (path === ROOT) return rootOf(repository)
      const members = await membersOf(db.read, repository)
      const ids = members.map((member) => member.repository.id)
      for (const node of await nodesInLayers(db.read, ids, path, clock.now())) {
        const member = members.find((one) => one.repository.id === node.repoId)
        if (member !== undefined && (await isReadable(member, path, 'node', asker))) return node
      }
      throw nodeNotFound(path)
    },
    async page(repository, path, listing, page, asker) {
      if (repository.category !== 'VIRTUAL') return nodes.page(repository, path, listing, page)
      const layers = await layersOf(repository, path, asker)
      const { folder } = await topOf(repository, layers, path)
      if (!folder) throw new AppError('NODE_CONFLICT', `Node [${path}] conflict: it is a file, not a folder`, { path })
      return pageLayers(db.read, layers, path, listing, page, clock.now())
    },
    async size(repository, path, asker) {
      if (repository.category !== 'VIRTUAL') return nodes.size(repository, path)
      const layers = await layersOf(repository, path, asker)
      const node = await topOf(repository, layers, path)
      return node.folder ? sizeOfLayers(db.read, layers, path, clock.now()) : { nodes: 0, bytes: node.sizeBytes }
    },
  }
}
