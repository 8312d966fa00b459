import type { ComparedLanes } from '../../../core/fingerprint.ts'
import type { Lanes } from '../../../core/lanes.ts'
import type { PathRange } from '../../../core/path-range.ts'

/**
 * What two clusters say to each other to find where their repositories differ (docs/design/sync-protocol.md, "Reconciliation"):
 *
 *     message := version u8 = 1 | flags u8 (1 = content and metadata, 2 = partial) | range*
 *     range   := mode u8 | payload | upper path
 *     path    := varint bytes shared with the path before it in the message | varint bytes that follow | these bytes (UTF-8)
 *
 * Ranges follow each other without a gap, from the first of all paths; an empty upper path is the end of all. So the paths of a
 * message, those in payloads too, ascend by their bytes. What lies behind the last range is as in mode 0.
 */
export interface ReconMessage {
  readonly compared: ComparedLanes
  /** Answers only: what lies behind the last range was not looked at, for want of room, and has to be asked again. */
  readonly partial: boolean
  /** Where the last range ends; null: at the end of all paths. */
  readonly reached: string | null
  /** All ranges but those of mode 0. */
  readonly parts: readonly ReconPart[]
}

/** One range, and what is said of it. */
export type ReconPart = EmptyPart | FingerprintPart | RowsPart | QuestionPart | LanesPart

/** Mode 1: what the rows there add up to (`fingerprintOf`, 16 bytes). */
export interface FingerprintPart {
  readonly mode: 'fingerprint'
  readonly range: PathRange
  readonly fingerprint: Buffer
}
/** Mode 2: all rows there. */
export interface RowsPart {
  readonly mode: 'rows'
  readonly range: PathRange
  readonly rows: readonly RowId[]
}
/** Mode 3: no row is there. */
export interface EmptyPart {
  readonly mode: 'empty'
  readonly range: PathRange
}
/** Mode 4: which lanes do these paths have? */
export interface QuestionPart {
  readonly mode: 'question'
  readonly range: PathRange
  readonly paths: readonly string[]
}
/** Mode 5: how these paths stand; after mode 2 and 3 those that differ from what was said, after mode 4 all that were asked for. */
export interface LanesPart {
  readonly mode: 'lanes'
  readonly range: PathRange
  readonly rows: readonly StandingRow[]
}

/** A path and `rowIdOf` its row (8 bytes). */
export interface RowId {
  readonly path: string
  readonly id: Buffer
}
export interface StandingRow {
  readonly path: string
  /** Null: no live row. */
  readonly lanes: RowLanes | null
}
export interface RowLanes {
  readonly content: Lanes
  readonly metadata: Lanes
}

export const RECON_VERSION = 1
export const RECON_FLAGS = { metadata: 1, partial: 2 } as const
export const RECON_MODES = { equal: 0, fingerprint: 1, rows: 2, empty: 3, question: 4, lanes: 5 } as const

export const MAX_MESSAGE_BYTES = 1024 * 1024
/** Of all paths of a message, written in full: shared beginnings must not make a small message a large one. */
export const MAX_PATH_BYTES_IN_ALL = 16 * MAX_MESSAGE_BYTES
/** A path has at most 2,600 (core/paths.ts); the bound of a range may be a few longer. */
export const MAX_BOUND_BYTES = 2_700
/** Paths of one list. */
export const MAX_LIST = 4_096
