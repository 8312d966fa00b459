import type { Compression } from './frame.ts'
import type { ObjectSeal } from './object-seal.ts'

/** What a thread does with frames. Bytes lie in memory that both see; `lane` names one entry on its way. */
export type FrameQuestion =
  | ({ readonly ask: 'begin'; readonly lane: number; readonly memory: SharedArrayBuffer } & LaneWork)
  /** Plain bytes become the next frame, written at `to`. */
  | {
      readonly ask: 'seal'
      readonly lane: number
      readonly from: number
      readonly length: number
      readonly to: number
      readonly position: 'more' | 'last'
    }
  /** The next frame is opened; `give`: its bytes come with the answer. */
  | {
      readonly ask: 'open'
      readonly lane: number
      readonly from: number
      readonly length: number
      readonly position: 'more' | 'last'
      readonly plain: 'give' | 'drop'
    }
  | { readonly ask: 'digest'; readonly lane: number }
  /** Entries of one frame each, in one piece of an object. */
  | ({ readonly ask: 'check'; readonly memory: SharedArrayBuffer } & CheckWork)
  /** Not answered. */
  | { readonly ask: 'end'; readonly lane: number }

export interface LaneWork {
  readonly seal: ObjectSeal
  readonly about: Uint8Array
  /** Of its first frame. */
  readonly offset: number
  readonly compression: Compression
  readonly hashing: 'sha256' | 'none'
}

export interface CheckWork {
  readonly seal: ObjectSeal
  /** Offset in the object of the first byte in memory. */
  readonly start: number
  readonly entries: readonly CheckedEntry[]
}
export interface CheckedEntry {
  readonly key: Uint8Array
  readonly offset: number
  readonly storedBytes: number
  readonly plainBytes: number
  readonly hashing: 'sha256' | 'none'
}

/** Each undefined but for what was asked; `broken`: the frame is not what was written. */
export interface FrameAnswer {
  readonly storedBytes?: number
  readonly plainBytes?: number
  readonly plain?: Uint8Array<ArrayBuffer>
  /** 32 bytes. */
  readonly digest?: Uint8Array
  readonly broken?: true
  /** Numbers of the entries that are not what was written. */
  readonly brokenEntries?: readonly number[]
}
