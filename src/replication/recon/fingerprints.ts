import type { FingerprintRow, RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'

/** What reconciliation asks of a repository. Every call sees what is committed at that moment; two calls may see different states. */
export interface Fingerprints {
  /** One sum per range, in their order. */
  sums(ranges: readonly PathRange[]): Promise<RangeSum[]>
  /** At most `pieces - 1` paths inside of the range, ascending, that cut it into about equal parts where that is cheap (at bucket starts). */
  cuts(range: PathRange, pieces: number): Promise<string[]>
  /** The first rows, at most `limit`, ascending by path. */
  rows(range: PathRange, limit: number): Promise<FingerprintRow[]>
}

/** Ranges of one question to the database, and so between two turns of the event loop. */
export const RANGES_AT_ONCE = 256

/** Sums of any number of ranges. */
export async function sumsOf(local: Fingerprints, ranges: readonly PathRange[]): Promise<RangeSum[]> {
  const sums: RangeSum[] = []
  for (let at = 0; at < ranges.length; at += RANGES_AT_ONCE) {
    sums.push(...(await local.sums(ranges.slice(at, at + RANGES_AT_ONCE))))
  }
  return sums
}

/** The path alone: no path holds a zero byte, the only one below. */
export const rangeOfPath = (path: string): PathRange => ({ lo: path, hi: afterPath(path) })
export const afterPath = (path: string): string => `${path}\u0001`

/** How these paths stand, in their order: what one row adds up to is the row. */
export async function rowsAt(local: Fingerprints, paths: readonly string[]): Promise<(FingerprintRow | undefined)[]> {
  const sums = await sumsOf(local, paths.map(rangeOfPath))
  return paths.map((path, index) => {
    const { rows, content, metadata } = sums[index]!
    return rows === 0 ? undefined : { path, content: toLanes(content), metadata: toLanes(metadata) }
  })
}
const toLanes = ([a, b, c, d]: RangeSum['content']) => [Number(a), Number(b), Number(c), Number(d)] as const

/** Without a BigInt per row; for fewer than two million rows. */
export function sumOfRows(rows: readonly Omit<FingerprintRow, 'path'>[]): RangeSum {
  const sum = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const { content, metadata } of rows) {
    for (let lane = 0; lane < 4; lane++) {
      sum[lane]! += content[lane]!
      sum[lane + 4]! += metadata[lane]!
    }
  }
  const [a, b, c, d, e, f, g, h] = sum.map(BigInt) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]
  return { rows: rows.length, content: [a, b, c, d], metadata: [e, f, g, h] }
}
