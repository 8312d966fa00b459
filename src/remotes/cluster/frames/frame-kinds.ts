import type { Frame } from './frame.ts'

/** Number of every type on the wire; 6 is a bundle of frames. */
export const FRAME_NUMBER = {
  entry: 1,
  delete: 2,
  metadata: 3,
  barrier: 4,
  version: 5,
  begin: 7,
  ack: 8,
  credit: 9,
  ping: 10,
  fenced: 11,
  end: 12,
  refused: 13,
  content: 14,
} as const satisfies Record<Frame['type'], number>
export const BUNDLE = 6
/** Flag: the payload is zstd. Bundles have it, nothing else may. */
export const ZSTD = 1

const LAST_OF_THE_FIRST = FRAME_NUMBER.version
/** Frames 1 to 5 and 14 use up credit, also inside a bundle. */
export const usesCredit = (type: number): boolean => type <= LAST_OF_THE_FIRST || type === FRAME_NUMBER.content
