import type { Generated } from 'kysely'

/** Files that many small blobs share (docs/design/blobs.md). */
export interface SegmentTables {
  segment: SegmentTable
}

interface SegmentTable {
  id: Generated<number>
  /** Installation that writes it. */
  owner: string
  /**
   * Blobs may be placed in an open one, and in a sealed one below `bytes`; the bytes of a compacting one are on their way elsewhere;
   * no row names a retired one, whose file is kept for those who copied the rows before.
   */
  state: 'open' | 'sealed' | 'compacting' | 'retired'
  /** Its length once it is sealed. */
  bytes: number
  /** Of them, those that a row names, when they were last counted. */
  live_bytes: number
  begun_at: number
  /** Of a retired one: since when it is. */
  sealed_at: number | null
}
