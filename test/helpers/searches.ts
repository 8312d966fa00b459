import { type FileWrite, putFiles } from '../../src/artifacts/nodes/node-writer.ts'
import type { Repository } from '../../src/artifacts/repositories/repositories.ts'
import { createNodeSearches, type FoundNodes, type NodeSearches } from '../../src/artifacts/search/node-searches.ts'
import { nodeWords } from '../../src/artifacts/search/node-words.ts'
import { parseSearch } from '../../src/artifacts/search/search-request.ts'
import type { SearchScope } from '../../src/metadata/search/search-scope.ts'
import { type ArtifactServices, artifactServices, fileWrite, makeRepository } from './artifacts.ts'
import type { TestDatabase } from './databases.ts'

export const EVERYTHING: SearchScope = { everything: true, repositories: [] }
export const SEARCH_WORDS = nodeWords(['name', 'fullPath', 'size', 'metadata', 'nodeMetadata'], (_name, value) =>
  Number(value),
)

/** A leaf of the wire. */
export const leaf = (field: string, operation: string, value?: unknown) => ({ field, operation, value })

export interface Asking {
  readonly scope?: SearchScope
  readonly sort?: object
  readonly page?: object
  readonly project?: string
}

export interface SearchStage extends ArtifactServices {
  readonly repository: Repository
  readonly searches: NodeSearches
  /** Writes files; a string is its path. */
  put(repository: Repository, files: readonly (string | Partial<FileWrite>)[]): Promise<void>
  find(rules: readonly object[], asking?: Asking): Promise<FoundNodes>
  /** Full paths of what is found, sorted unless `sort` says otherwise. */
  paths(rules: readonly object[], asking?: Asking): Promise<string[]>
}

/** A repository `demo/files` and what searches it. */
export async function searchStage(db: TestDatabase, lookAtMost = 100_000): Promise<SearchStage> {
  const services = artifactServices(db)
  const searches = createNodeSearches({ db, clock: services.clock, limits: { lookAtMost } })
  const repository = await makeRepository(services)
  async function find(rules: readonly object[], asking: Asking = {}): Promise<FoundNodes> {
    const { scope = EVERYTHING, sort, page, project = 'demo' } = asking
    const rule = { rules: [leaf('projectId', 'EQ', project), ...rules] }
    return searches.find(parseSearch({ rule, sort, page }, SEARCH_WORDS), scope)
  }
  return {
    ...services,
    repository,
    searches,
    find,
    async put(into, files) {
      const writes = files.map((file) =>
        typeof file === 'string' ? fileWrite(services, file) : { ...fileWrite(services, file.path!), ...file },
      )
      await db.transact((trx) => putFiles(trx, into, writes, new Map(), services.clock.now()))
    },
    async paths(rules, asking = {}) {
      const { records } = await find(rules, asking)
      const paths = records.map(({ node }) => node.path as string)
      return asking.sort === undefined ? paths.sort() : paths
    },
  }
}
