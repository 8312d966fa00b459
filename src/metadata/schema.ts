import type { Generated } from 'kysely'
import type { AccessTables } from './tables/access.ts'
import type { BackupTables } from './tables/backups.ts'
import type { BlockUploadTables } from './tables/block-uploads.ts'
import type { CopiedAccessTables } from './tables/copied-access.ts'
import type { DistributionTables } from './tables/distributions.ts'
import type { EdgeTables } from './tables/edges.ts'
import type { EngineTables } from './tables/engine.ts'
import type { FingerprintTables } from './tables/fingerprints.ts'
import type { IdentityTables } from './tables/identity.ts'
import type { ImageTables } from './tables/images.ts'
import type { LiveLinkTables } from './tables/live-links.ts'
import type { PackageTables } from './tables/packages.ts'
import type { PlanTables } from './tables/plans.ts'
import type { ProxyTables } from './tables/proxies.ts'
import type { ReplicationTables } from './tables/replication.ts'
import type { ScrubTables } from './tables/scrub.ts'
import type { SearchTables } from './tables/search.ts'
import type { SegmentTables } from './tables/segments.ts'
import type { TreeOperationTables } from './tables/tree-operations.ts'
import type { UsageTables } from './tables/usage.ts'

/**
 * One schema for both dialects. Times are UTC epoch milliseconds; flags are 0 and 1; digests are 32 raw bytes; JSON is text;
 * paths compare as UTF-8 bytes (SQLite BINARY, PostgreSQL `COLLATE "C"`). Tables and reasons: `docs/design/metadata.md`.
 */
export interface Schema
  extends AccessTables,
    BackupTables,
    BlockUploadTables,
    DistributionTables,
    EdgeTables,
    CopiedAccessTables,
    EngineTables,
    FingerprintTables,
    IdentityTables,
    ImageTables,
    LiveLinkTables,
    PackageTables,
    PlanTables,
    ProxyTables,
    ReplicationTables,
    ScrubTables,
    SearchTables,
    SegmentTables,
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
  /** Empty: not known, it is older than the column. */
  deleted_by: Generated<string>
  /** As in `node`: of the link and the run that brought the deletion. */
  via_link: number | null
  via_mark: number | null
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
  /** Null: the bytes are there. Otherwise nobody needs the blob since then, and its bytes may be gone already. */
  unneeded_since: number | null
  /** Null: it has a file of its own. Otherwise `segment.id`. */
  segment: number | null
  /** Offset of its first byte in the segment. */
  place: number | null
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
