import type { SearchWords } from './search-request.ts'

const FIELDS = {
  projectId: 'text',
  repoName: 'text',
  repoType: 'text',
  name: 'text',
  key: 'text',
  description: 'text',
  latest: 'text',
  versions: 'number',
  downloads: 'number',
  createdBy: 'text',
  createdDate: 'date',
  lastModifiedBy: 'text',
  lastModifiedDate: 'date',
} as const satisfies SearchWords['fields']

const UNSORTED: ReadonlySet<string> = new Set(['projectId', 'repoName', 'repoType'])

/** What searches for packages can say. @param shown fields of a found package. */
export const packageWords = (shown: readonly string[], parseTime: SearchWords['parseTime']): SearchWords => ({
  fields: FIELDS,
  metadata: 'unknown',
  parseTime,
  sortable: Object.keys(FIELDS).filter((field) => !UNSORTED.has(field)),
  selectable: shown,
})
