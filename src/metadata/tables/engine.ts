import type { Generated } from 'kysely'

/** What a run looks at, path by path (docs/design/replication.md). */
export interface EngineTables {
  exec_path: ExecPathTable
}

/** A path of a shard that names its paths; such a row goes with its shard. */
interface ExecPathTable {
  record_id: string
  link_id: number
  shard_no: number
  path: string
  /** What the target had there when the run was planned (`core/fingerprint.ts`, `rowIdOf`); empty: nothing; null: not known. */
  expect: Uint8Array | null
  /** 1: when no file is there, its end is brought over. */
  deletes: Generated<number>
}
