import type { Generated } from 'kysely'

/** Other clusters, tasks, links and the records of runs (replication.md, sync.md). */
export interface ReplicationTables {
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
  /** Id of the installation that answered there last; null: none did. */
  peer_id: string | null
  /** Bytes of contents per second that one process sends there, of all tasks together; null: no limit. */
  rate_limit: number | null
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
  /** The repository over there that it brings; null: its source did not say. */
  project: string | null
  repo: string | null
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
  /** JSON of a `DynamicSet`: objects are looked up when they are needed, and `task_object` has none. */
  dynamic: string | null
  /** Users, roles and permissions go with the files. */
  include_permission: Generated<number>
  /** JSON of what the older API asked for and shows; null: a task of the current one. */
  v1: string | null
  /** JSON of what the distribution API asked for and shows; null: no distribution. */
  distribution: Generated<string | null>
  /** JSON of what the import API asked for; null: no import. */
  imports: Generated<string | null>
  /** Of a task that runs once: bytes that it is about, as they were when it was stored; null: not known. */
  planned_bytes: Generated<number | null>
  description: string | null
  status: string
  enabled: number
  record: number
  record_reserve_days: number
  last_execution_status: string | null
  last_execution_at: number | null
  /** When it runs by itself; null: nothing is planned, or it is disabled. */
  next_execution_at: number | null
  /** The planned time that a run was started for last, so that none is taken twice. */
  fired_at: number | null
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
}

/** The ledger: paths the target does not have as we do, because policy says so or because they failed. */
interface LinkDivergenceTable {
  link_id: number
  path: string
  /**
   * `conflict` kept by SKIP · `failed` looked at again by every run · `foreign` at the target only · `superseded` deleted or changed
   * there later.
   */
  reason: 'conflict' | 'failed' | 'foreign' | 'superseded'
  since: number
  /** The target's row minus ours; null: not known, so that the path has to be looked at. */
  dn: number | null
  d0: number | null
  d1: number | null
  d2: number | null
  d3: number | null
  e0: number | null
  e1: number | null
  e2: number | null
  e3: number | null
  /** Of what failed and waits to be tried again (`failures.ts`), 24 hex digits; null: it is in the ledger alone. */
  failure_id: string | null
  kind: FailureKind | null
  error_reason: string | null
  /** How often it failed in a row. */
  attempts: number | null
  /** When it is tried again by itself; null: never. */
  due_at: number | null
  created_at: number | null
  modified_at: number | null
}
/** `LINK` is the link as a whole, under the path ''. */
export type FailureKind = 'FILE' | 'DELETION' | 'VERSION' | 'LINK'

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
  /** How the difference was found. `offer`: there were too many to name. `listing`: by an earlier version. */
  mode: 'cursor' | 'ranges' | 'offer' | 'listing' | null
  /** What its scope was when it was planned; null: planned by an earlier release. */
  scope_hash: string | null
  to_seq: number | null
  remote_epoch: string | null
  remote_seq: number | null
  remote_mark: string | null
  error_reason: string | null
  /** Set while the target does not answer; past `replication.linkTimeoutMs` the link FAILED. */
  down_since: number | null
  /** Since when attempts fail and nothing gets through, whether the target answers between them or not. */
  stalled_since: Generated<number | null>
  attempts: number
  ended_at: number | null
  /** Of the planner at work; a later one has a higher one. */
  plan_token: Generated<number>
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
  /** `range` all that the source has in [lo, hi) · `paths` those of `exec_path` · `kept` those, known to be kept as they are. */
  kind: 'range' | 'paths' | 'kept'
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
