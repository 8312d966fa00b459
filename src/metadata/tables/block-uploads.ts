/** Block uploads and temporary access (core.md 11.4 to 11.6). */
export interface BlockUploadTables {
  block_upload: BlockUploadTable
  block_part: BlockPartTable
  temporary_token: TemporaryTokenTable
}

/** A file that comes in blocks. The row is the lock: blocks, completion and abort change things only while they hold it. */
interface BlockUploadTable {
  upload_id: string
  style: 'NUMBERED' | 'SEPARATE'
  repo_id: number
  path: string
  /** Whether the start said that a file at the path may be replaced. */
  overwrite: number
  created_by: string
  created_at: number
  expires_at: number
  /** Of the file it became. Null: it takes blocks. */
  completed_sha256: Uint8Array | null
}

/** A block that is durable; its bytes are in the spool under `name`. */
interface BlockPartTable {
  upload_id: string
  /** NUMBERED: from 1; SEPARATE: bytes from the start of the file. */
  position: number
  name: string
  size: number
  sha256: Uint8Array
  /** Unsigned decimal; null: not computed. */
  crc64: string | null
}

/** Stands in for its creator at one path of one repository. */
interface TemporaryTokenTable {
  /** SHA-256 of the token: it is random, so it needs no slow hash. */
  token_hash: Uint8Array
  repo_id: number
  path: string
  type: 'UPLOAD' | 'DOWNLOAD' | 'ALL'
  /** JSON array of user ids, of addresses and networks; null: anybody, from anywhere. */
  users: string | null
  addresses: string | null
  /** Uses left; null: unlimited. */
  permits: number | null
  /** Null: never. */
  expires_at: number | null
  created_by: string
  /** The platform account that made it for `created_by`; null: none. */
  app_id: string | null
  created_at: number
}
