import type { Generated } from 'kysely'

/** What a run looks at, path by path (docs/design/replication.md). */
export interface EngineTables {
  exec_path: ExecPathTable
  unsettled_place: UnsettledPlaceTable
  settled_path: SettledPathTable
  settled_count: SettledCountTable
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

/** What was on its way, or was still to be sent, when a run was given up. */
interface UnsettledPlaceTable {
  link_id: number
  record_id: string
  /** `range` all paths in [lo, hi), hi empty: to the end · `path` the one in `lo`, with an empty hi. */
  kind: 'range' | 'path'
  lo: string
  hi: string
  /** 1: the end of the file was to be brought over. */
  deletes: number
}

/** An artifact in such a place that a record counts. */
interface SettledPathTable {
  link_id: number
  path: string
  /** The run that wrote it (`node.via_mark` of the target). */
  run: number
}

interface SettledCountTable {
  link_id: number
  record_id: string
  /** Artifacts that had arrived before this run began, and that it counts. */
  count: number
}
