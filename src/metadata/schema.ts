import type { Generated } from 'kysely'
import type { AccessTables } from './tables/access.ts'
import type { BlockUploadTables } from './tables/block-uploads.ts'
import type { IdentityTables } from './tables/identity.ts'
import type { PackageTables } from './tables/packages.ts'
import type { ProxyTables } from './tables/proxies.ts'
import type { ScrubTables } from './tables/scrub.ts'
import type { SearchTables } from './tables/search.ts'
import type { TreeOperationTables } from './tables/tree-operations.ts'
import type { UsageTables } from './tables/usage.ts'

/**
 * One schema for both dialects. Times are UTC epoch milliseconds; flags are 0 and 1; digests are 32 raw bytes; JSON is text;
 * paths compare as UTF-8 bytes (SQLite BINARY, PostgreSQL `COLLATE "C"`). Tables and reasons: `docs/design/metadata.md`.
 */
export interface Schema
  extends AccessTables,
    BlockUploadTables,
    IdentityTables,
    PackageTables,
    ProxyTables,
    ScrubTables,
    SearchTables,
    TreeOperationTables,
    UsageTables {
  setting: SettingTable
  user_account: UserTable
  user_token: TokenTable
  project: ProjectTable
  repository: RepositoryTable
  node: NodeTable
  tombstone: TombstoneTable
  change_log: ChangeLogTable
  blob: BlobTable
  upload: UploadTable
  cluster: ClusterTable
  peer: PeerTable
  peer_link: PeerLinkTable
  peer_state: PeerStateTable
  replication_task: TaskTable
  task_object: TaskObjectTable
  task_target: TaskTargetTable
  link: LinkTable
  link_divergence: LinkDivergenceTable
  execution_record: RecordTable
  exec_link: ExecLinkTable
  exec_shard: ExecShardTable
  record_detail: RecordDetailTable
  job: JobTable
}

/** What the server knows about itself: `cluster_id`, `schema_note` … */
interface SettingTable {
  key: string
  value: string
}

interface UserTable {
  user_id: string
  name: string
  /** argon2id, PHC string. */
  password_hash: string
  admin: number
  locked: number
  email: string | null
  phone: string | null
  /** Grows with every change of password, lock, admin flag or token: cached credentials of an older stamp are void. */
  credential_stamp: number
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface TokenTable {
  user_id: string
  name: string
  /** SHA-256 of the token: it is random, so it needs no slow hash. */
  token_hash: Uint8Array
  created_at: number
  expires_at: number | null
}

interface ProjectTable {
  name: string
  display_name: string
  description: string
  metadata: string
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface RepositoryTable {
  id: Generated<number>
  project: string
  name: string
  type: string
  category: string
  public: number
  description: string | null
  display_name: string | null
  configuration: string
  /** Bytes; null: unlimited. */
  quota: number | null
  /** For people only, like the description: nothing is decided by these three. */
  display: Generated<number>
  owner: string | null
  visibility: string | null
  /** New when the database is put back to an earlier state: all cursors are void. */
  epoch: string
  /** Change log rows up to this number were trimmed; a cursor below it is void. */
  floor_seq: number
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
  deleted_at: number | null
}

interface NodeTable {
  /** New for every content: an overwrite soft-deletes the row and inserts another. */
  id: Generated<number>
  repo_id: number
  path: string
  /** Path of the folder it lies in; `/` at the top. */
  parent: string
  folder: number
  /** Null for folders. */
  sha256: Uint8Array | null
  md5: string | null
  /** Unsigned decimal (`core/crc64.ts`); null: not known. */
  crc64: string | null
  size: number
  /** JSON array of entries (`core/metadata.ts`). */
  metadata: string
  /** `peer.id` of the cluster that last wrote it; 0: here. */
  origin: number
  hlc: string
  /** `peer_link.id` of the replication link that wrote it; null: a local user did. */
  via_link: number | null
  /**
   * Of the run that wrote it: 48 bits of its record's hash × 2, + 1 when it replaced a conflict; null: a local user did. Lets a run
   * that was killed between the target's commit and its own checkpoint find again what it had delivered.
   */
  via_mark: number | null
  c0: number
  c1: number
  c2: number
  c3: number
  m0: number
  m1: number
  m2: number
  m3: number
  expires_at: number | null
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
  accessed_at: number | null
  deleted_by: string | null
  /** Null: live. At most one live row per repository and path (partial unique index). */
  deleted_at: number | null
}

interface TombstoneTable {
  repo_id: number
  path: string
  hlc: string
  origin: number
  deleted_at: number
}

/** "This path is dirty": written in the transaction of the change, read as state (sync.md B.3). */
interface ChangeLogTable {
  id: Generated<number>
  repo_id: number
  /** Cursor number. SQLite: = id at once; PostgreSQL: null until the sequencer numbers it. */
  seq: number | null
  path: string
  op: ChangeOp
  origin: number
  via_link: number | null
  at: number
  /** Live files gained (1), lost (-1) or kept (0); lanes are new minus old. */
  dn: number
  d0: number
  d1: number
  d2: number
  d3: number
  e0: number
  e1: number
  e2: number
  e3: number
}
/**
 * 1 node written · 2 node deleted · 3 metadata changed · 4 version written · 5 version deleted · 6 package written · 7 package deleted.
 * Above 3 the path is none of a node (`core/package-key.ts`): no range of paths holds it.
 */
export type ChangeOp = 1 | 2 | 3 | 4 | 5 | 6 | 7

/** The row is the truth and the lock: a file is removed, or put back, only by whoever holds its row (docs/design/blobs.md). */
interface BlobTable {
  sha256: Uint8Array
  size: number
  created_at: number
  /** Last time somebody relied on it; collection waits a grace time from here. */
  touched_at: number
  /** Null: the file is there. Otherwise nobody needs the blob since then, and its file may be gone already. */
  unneeded_since: number | null
}

/** Resumable uploads of large blobs between clusters; their parts are in the spool. */
interface UploadTable {
  upload_id: string
  sha256: Uint8Array
  size: number
  part_size: number
  created_at: number
  expires_at: number
}

interface ClusterTable {
  id: string
  name: string
  type: string
  url: string
  username: string | null
  /** Encrypted (`auth/secrets.ts`). */
  password: string | null
  certificate: string | null
  app_id: string | null
  access_key: string | null
  secret_key: string | null
  udp_port: number | null
  detect_type: string
  status: string
  error_reason: string | null
  checked_at: number | null
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

/** Clusters that rows came from, interned. 0 is this cluster. */
interface PeerTable {
  id: Generated<number>
  cluster_id: string
}
/** Links of other clusters that write here, interned. */
interface PeerLinkTable {
  id: Generated<number>
  source_id: string
  link_key: string
}
/** Highest fence seen per stream of a link: a lower one is a zombie's. */
interface PeerStateTable {
  peer_link_id: number
  stream: string
  fence: number
  at: number
}

interface TaskTable {
  id: string
  key: string
  name: string
  project: string
  object_type: string
  replica_type: string
  /** JSON, fully expanded with defaults. */
  setting: string
  description: string | null
  status: string
  enabled: number
  record: number
  record_reserve_days: number
  last_execution_status: string | null
  last_execution_at: number | null
  next_execution_at: number | null
  execution_times: number
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}
interface TaskObjectTable {
  task_key: string
  ord: number
  local_repo: string
  remote_project: string
  remote_repo: string
  repo_type: string
  /** JSON as given, null or []. */
  package_constraints: string | null
  path_constraints: string | null
}
interface TaskTargetTable {
  task_key: string
  ord: number
  cluster_id: string
}

/** One (task object, target cluster) and how far it got. */
interface LinkTable {
  id: Generated<number>
  key: string
  task_key: string
  cluster_id: string
  repo_id: number
  remote_project: string
  remote_repo: string
  /** Of paths and includeMetadata: a cursor counts only for the scope it was made for. */
  scope_hash: string
  /** Local change log position up to which the target has everything but `link_divergence`. Null: no cursor. */
  repo_epoch: string | null
  acked_seq: number | null
  /** The target's change log up to which only this link wrote in the scope. */
  remote_epoch: string | null
  remote_seq: number | null
  /** Tells the row at `remote_seq` (sync-protocol.md). */
  remote_mark: string | null
  /** Live files of the scope at `acked_seq`. */
  scope_files: number
}

/** Paths the target does not have as we do: kept by policy, or failed. Looked at again by every run. */
interface LinkDivergenceTable {
  link_id: number
  path: string
  reason: 'conflict' | 'failed'
  since: number
}

interface RecordTable {
  id: string
  task_key: string
  status: string
  started_at: number
  ended_at: number | null
  error_reason: string | null
  object_type: string
  replica_type: string
  /** JSON of task, objects and targets as this run uses them. */
  snapshot: string
  /** JSON once closed; while it runs it is summed from the shards. */
  overview: string | null
  replicated_bytes: number
  total_bytes: number
}

/** One link in one record. */
interface ExecLinkTable {
  record_id: string
  link_id: number
  /** As they are called when it runs, for the record's readers. */
  cluster_id: string
  cluster_name: string
  local_repo: string
  repo_type: string
  state: ExecState
  mode: 'cursor' | 'listing' | null
  from_seq: number | null
  to_seq: number | null
  remote_epoch: string | null
  remote_seq: number | null
  remote_mark: string | null
  /** Live files of the scope when planned, of which `planned_files` are in the shards. */
  scope_files: number
  planned_files: number
  error_reason: string | null
  /** Set while the target does not answer; past `replication.linkTimeoutMs` the link FAILED. */
  down_since: number | null
  attempts: number
  ended_at: number | null
}
export type ExecState = 'PENDING' | 'COPYING' | 'DONE' | 'FAILED'

interface ExecShardTable {
  record_id: string
  link_id: number
  shard_no: number
  /** Paths in [lo, hi); hi null: to the end. `pos` is the last path done. */
  lo: string
  hi: string | null
  pos: string | null
  state: 'READY' | 'LEASED' | 'DONE' | 'FAILED'
  est_files: number
  est_bytes: number
  owner: string | null
  lease_until: number
  token: number
  ok: number
  /** `unchanged` is the part of `skipped` that has no detail row. */
  skipped: number
  unchanged: number
  failed: number
  conflict: number
  file_ok: number
  file_failed: number
  bytes: number
  /** Bytes of the batch in progress, for watchers only. */
  in_flight_bytes: number
}

interface RecordDetailTable {
  /** First 24 hex digits of SHA-256(record, link, package key, version, path): the same on every retry. */
  id: string
  record_id: string
  link_id: number
  path: string
  package_key: string | null
  version: string | null
  sha256: Uint8Array | null
  size: number | null
  status: string
  conflict_strategy: string | null
  error_reason: string | null
  execute_type: string
  started_at: number
  ended_at: number | null
  attempts: number
}

/** A wake-up and its lease (`jobs/lease-table.ts`). */
interface JobTable {
  id: Generated<number>
  kind: string
  dedupe_key: string
  payload: string
  /** Without owner: when it may be claimed. With owner: when the lease ends and it may be claimed again. */
  due_at: number
  /** Asked for again while it runs: it goes back to the queue for then, instead of away. */
  again_at: number | null
  owner: string | null
  /** Grows with every claim. */
  epoch: number
  /** Claims since it was last done. */
  attempts: number
}
