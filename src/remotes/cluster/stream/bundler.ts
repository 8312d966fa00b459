import { packBundle, shrinks } from '../frames/bundle.ts'
import { FRAME_BYTES } from '../frames/frame-limits.ts'
import type { LineRate } from './line-rate.ts'

/** Packs frames where the line is slow and the contents shrink. */
export interface Bundler {
  /** @param frames whole frames 1 to 5. @returns them, or one bundle of them. */
  wrap(frames: Buffer[]): Buffer[]
}

const SAMPLE_BYTES = 64 * 1024
/** A sample is taken again after so many bytes: contents change from folder to folder. */
const SAMPLED_EVERY_BYTES = 2 * 1024 * 1024
/** A bundle smaller than this saves nothing. */
const LEAST_BYTES = 512

/** @param understood whether the target said that it takes bundles. */
export function createBundler(line: LineRate, understood: () => boolean): Bundler {
  let untilSample = 0
  let worthIt = false
  return {
    wrap(frames) {
      if (!line.isSlow || !understood()) return frames
      const bytes = frames.reduce((sum, { length }) => sum + length, 0)
      if (bytes < LEAST_BYTES || bytes > FRAME_BYTES) return frames
      const plain = Buffer.concat(frames)
      if (untilSample <= 0) {
        worthIt = shrinks(plain.subarray(0, SAMPLE_BYTES))
        untilSample = SAMPLED_EVERY_BYTES
      }
      untilSample -= bytes
      return worthIt ? [packBundle(plain)] : [plain]
    },
  }
}
