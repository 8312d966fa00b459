import { holderOf, type PathRange } from '../../core/path-range.ts'
import type { Reader } from '../../metadata/database.ts'
import { listFileSizes, type RangeSize } from '../../metadata/replication/source-files.ts'
import type { LinkScope } from './difference.ts'

/** A few milliseconds. */
const FILES_PER_PAGE = 2_000

interface Place {
  /** For long reads: all files of the ranges are looked at. */
  readonly reader: Reader
  readonly repoId: number
  readonly now: number
}

/** Live files of the ranges above `after`, ascending by path bytes, page by page. @param ranges sorted and merged. */
export async function* scanFiles(
  { reader, repoId, now }: Place,
  ranges: readonly PathRange[],
  from?: string,
): AsyncGenerator<readonly { readonly path: string; readonly size: number }[]> {
  for (let after = from; ; ) {
    const page = await listFileSizes(reader, repoId, { ranges, after, limit: FILES_PER_PAGE }, now)
    yield page
    if (page.length < FILES_PER_PAGE) return
    after = page.at(-1)!.path
  }
}

/** What the filter lets through of a range. */
export async function filteredSize(
  place: Place,
  range: PathRange,
  filter: NonNullable<LinkScope['filter']>,
): Promise<RangeSize> {
  let [files, bytes] = [0, 0]
  for await (const page of scanFiles(place, [range])) {
    for (const { path, size } of page) {
      if (!filter(path)) continue
      files++
      bytes += size
    }
  }
  return { files, bytes }
}

export interface ScopeCount {
  /** Selected files. */
  readonly files: number
  /** Those of them that lie in `within`. */
  readonly inside: number
  /** Patterns and expressions that no file fits. */
  readonly silent: readonly string[]
}

/** Counts what a scope with a filter selects, and finds out what of it selects nothing. */
export async function countScope(
  place: Place,
  { ranges, filter = () => true, watch }: LinkScope,
  within: readonly PathRange[],
): Promise<ScopeCount> {
  const isInside = holderOf(within)
  const watching = watch?.()
  let [files, inside] = [0, 0]
  for await (const page of scanFiles(place, ranges)) {
    for (const { path } of page) {
      if (!filter(path)) continue
      files++
      if (isInside(path)) inside++
      watching?.saw(path)
    }
  }
  return { files, inside, silent: watching?.silent() ?? [] }
}
