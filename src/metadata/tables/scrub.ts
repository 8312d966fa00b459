import type { Generated } from 'kysely'

/** What the scrub and the garbage collection found (core.md 13, docs/design/blobs.md). */
export interface ScrubTables {
  scrub_run: ScrubRunTable
  scrub_finding: ScrubFindingTable
  collection_report: CollectionReportTable
}

/** One pass over all blobs, in order of digest. At most one has no end. */
interface ScrubRunTable {
  id: Generated<number>
  requested_by: string
  started_at: number
  ended_at: number | null
  /** Last digest that was looked at; null: none yet. */
  position: Uint8Array | null
  blobs: number
  bytes: number
  damaged: number
  missing: number
  /** Known when it starts, for progress. */
  total_blobs: number
  total_bytes: number
}

/** A blob whose bytes are wrong or gone; one row per blob, the last time it was found. */
interface ScrubFindingTable {
  sha256: Uint8Array
  kind: 'DAMAGED' | 'MISSING'
  size: number
  found_at: number
}

interface CollectionReportTable {
  id: Generated<number>
  started_at: number
  ended_at: number
  purged_nodes: number
  examined: number
  deleted_blobs: number
  freed_bytes: number
  orphans: number
}
