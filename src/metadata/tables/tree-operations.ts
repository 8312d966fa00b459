/** Moves, copies, deletions and restorations of trees that are too large for one transaction (core.md 7.3). */
export interface TreeOperationTables {
  tree_operation: TreeOperationTable
}

interface TreeOperationTable {
  id: string
  /** Of the tree that is worked through. */
  repo_id: number
  /** JSON, `TreeRequest` of `metadata/nodes/tree-operations.ts`. */
  request: string
  state: string
  /** Of the job that works on it: the progress of an earlier claim is refused. */
  token: number
  /** Rows with a higher id came later and are left alone. */
  up_to_id: number
  /** Path down to which it is done, in descending order; null: nothing is. */
  position: string | null
  files: number
  folders: number
  bytes: number
  skipped: number
  conflicts: number
  by: string
  started_at: number
  ended_at: number | null
  /** JSON, code and message of the error that stopped it. */
  error: string | null
}
