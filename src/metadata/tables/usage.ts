/** Bytes in use per repository (core.md 6). */
export interface UsageTables {
  repository_usage: RepositoryUsageTable
}

/** Logical bytes of the live nodes of a repository: the sum over its slots, so that writers rarely wait for one row. */
interface RepositoryUsageTable {
  repo_id: number
  slot: number
  bytes: number
}
