import type { Generated } from 'kysely'

/** Files that many small blobs share (docs/design/blobs.md). */
export interface SegmentTables {
  segment: SegmentTable
}

interface SegmentTable {
  id: Generated<number>
  /** Installation that writes it. */
  owner: string
  /** Blobs may be placed in an open one, and in a sealed one below `bytes`; the bytes of a compacting one are on their way elsewhere. */
  state: 'open' | 'sealed' | 'compacting'
  /** Its length once it is sealed. */
  bytes: number
  /** Of them, those that a row names, when they were last counted. */
  live_bytes: number
  begun_at: number
  sealed_at: number | null
}
