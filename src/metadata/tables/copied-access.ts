/** Rights that other clusters brought. */
export interface CopiedAccessTables {
  copied_access: CopiedAccessTable
}

/** Whom and what a source named in a role or permission when it last brought it: only that is taken back when it names it no more. */
interface CopiedAccessTable {
  kind: 'role' | 'permission'
  /** `role.id` or `permission.id`. */
  held_id: string
  /** Cluster id. */
  source_id: string
  /** JSON: `{users, roles, repos}`. */
  given: string
}
