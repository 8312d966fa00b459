import type { SearchWords } from './search-request.ts'

const FIELDS = {
  projectId: 'text',
  repoName: 'text',
  repoType: 'text',
  path: 'folder-path',
  name: 'text',
  fullPath: 'path',
  folder: 'flag',
  size: 'number',
  sha256: 'hex',
  md5: 'hex',
  createdBy: 'text',
  createdDate: 'date',
  lastModifiedBy: 'text',
  lastModifiedDate: 'date',
  lastAccessDate: 'date',
  expireDate: 'date',
} as const satisfies SearchWords['fields']

const UNSORTED: ReadonlySet<string> = new Set(['projectId', 'repoName', 'repoType', 'sha256'])

/** What searches for nodes can say. @param shown fields of a found node. */
export const nodeWords = (shown: readonly string[], parseTime: SearchWords['parseTime']): SearchWords => ({
  fields: FIELDS,
  metadata: 'searched',
  parseTime,
  sortable: Object.keys(FIELDS).filter((field) => !UNSORTED.has(field)),
  selectable: shown,
})
