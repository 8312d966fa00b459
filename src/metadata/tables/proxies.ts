/** What REMOTE, VIRTUAL and proxying COMPOSITE repositories remember (core.md 6). */
export interface ProxyTables {
  proxy_secret: ProxySecretTable
  proxy_file: ProxyFileTable
}

/** A password that a repository sends to somebody else; its configuration holds `******` in its place. */
interface ProxySecretTable {
  repo_id: number
  /** `credentials`, `network.proxy` or `channel/<name>`. */
  slot: string
  /** Encrypted (`auth/secrets.ts`). */
  secret: string
}

/** Where a file of a repository was fetched from, and what its upstream calls that state of it. */
interface ProxyFileTable {
  repo_id: number
  path: string
  channel: string
  /** The channel's: validators mean nothing to another server. */
  url: string
  /** Of what was fetched: a row counts for the node only that still has this digest. */
  sha256: Uint8Array
  etag: string | null
  last_modified: string | null
  fetched_at: number
  /** When the upstream last said that this is what it has. */
  checked_at: number
}
