import type { RemotePath } from './remote-path.ts'
import { encodePath, type ServerApi } from './server-api.ts'

/** A file or folder as the server tells it. */
export interface NodeInfo {
  readonly fullPath: string
  readonly folder: boolean
  readonly size: number
  readonly sha256: string | null
  readonly lastModifiedDate: string
}
interface Page {
  readonly records: readonly NodeInfo[]
  readonly totalPages: number
}

const PAGE_SIZE = 1_000

export const nodeUrl = (call: string, { project, repo, path }: Pick<RemotePath, 'project' | 'repo' | 'path'>): string =>
  `/repository/api/node/${call}/${encodeURIComponent(project)}/${encodeURIComponent(repo)}${encodePath(path)}`
export const fileUrl = ({ project, repo }: Pick<RemotePath, 'project' | 'repo'>, path: string): string =>
  `/generic/${encodeURIComponent(project)}/${encodeURIComponent(repo)}${encodePath(path)}`

/** What lies in a folder, or below it at any depth, page by page. */
export async function* listNodes(
  server: ServerApi,
  folder: RemotePath,
  depth: 'children' | 'tree',
): AsyncGenerator<NodeInfo> {
  for (let pageNumber = 1, pages = 1; pageNumber <= pages; pageNumber++) {
    const query = `?pageNumber=${pageNumber}&pageSize=${PAGE_SIZE}&sort=${depth === 'children'}&deep=${depth === 'tree'}`
    const page = await server.call<Page>('GET', `${nodeUrl('page', folder)}${query}`)
    pages = page.totalPages
    yield* page.records
  }
}

export const nodeDetail = (server: ServerApi, at: RemotePath): Promise<NodeInfo> =>
  server.call<NodeInfo>('GET', nodeUrl('detail', at))
