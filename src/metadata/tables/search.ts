/** Metadata of nodes as rows, for searches (core.md 9). */
export interface SearchTables {
  node_metadata: NodeMetadataTable
}

/** One entry of `node.metadata`, of deleted nodes too, kept by triggers of that table. */
interface NodeMetadataTable {
  node_id: number
  repo_id: number
  key: string
  /** `s` a string, in `text` as it is; `n` a number, `o` anything else: `text` is its JSON. */
  kind: 's' | 'n' | 'o'
  text: string
  /** Of kind `n`. */
  number: number | null
}
