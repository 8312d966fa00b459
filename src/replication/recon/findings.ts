import { type ComparedLanes, rowIdOf } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { RowLanes } from '../../remotes/cluster/recon/recon-message.ts'
import { expectedOf, type Line } from './lines.ts'

/** Where the target does not stand as expected. Each list ascends in stretches, not as a whole; no path is twice in one. */
export interface Differences {
  /** The target has nothing in these, the source may: all that the source has there is to be sent. */
  readonly missingRanges: readonly PathRange[]
  /** Only the source has these. */
  readonly missing: readonly string[]
  /** Both have these; `remoteId` tells the target's row (`rowIdOf`). */
  readonly differing: readonly { readonly path: string; readonly remoteId: Buffer }[]
  /** Only the target has these. */
  readonly foreign: readonly ({ readonly path: string } & RowLanes)[]
  /** Entries of the ledger that hold no more; where the sides still differ, the path is in one of the other lists as well. */
  readonly changedLedgerPaths: readonly string[]
}

/** How the target stands: by its lanes, by the id of its row when the lanes are not known, or not at all. */
export type Standing = { readonly lanes: RowLanes } | { readonly id: Buffer } | null

export interface Findings {
  missingRange(range: PathRange): void
  /**
   * Compares what is here, and what was expected there, with what is there.
   * @returns 'ask' for a foreign row whose lanes are not known.
   */
  compare(line: Line, remote: Standing): 'ask' | undefined
  changed(path: string): void
  /** Paths that are named one by one. */
  named(): number
  all(): Differences
}

export function createFindings(compared: ComparedLanes): Findings {
  const missingRanges: PathRange[] = []
  const missing: string[] = []
  const differing: { path: string; remoteId: Buffer }[] = []
  const foreign: ({ path: string } & RowLanes)[] = []
  const changed = new Set<string>()

  return {
    missingRange(range) {
      const last = missingRanges.at(-1)
      if (last?.hi === range.lo) missingRanges[missingRanges.length - 1] = { lo: last.lo, hi: range.hi }
      else missingRanges.push(range)
    },
    compare(line, remote) {
      const { path, local, entry } = line
      const remoteId = remote === null ? null : 'id' in remote ? remote.id : rowIdOf(remote.lanes, compared)
      const expected = expectedOf(line, compared)
      if (expected.stale && entry !== undefined) changed.add(path)
      if (sameId(expected.id, remoteId)) return undefined
      if (entry !== undefined) changed.add(path)
      if (remote === null || remoteId === null) {
        if (local !== undefined) missing.push(path)
      } else if (local === undefined) {
        if ('id' in remote) return 'ask'
        foreign.push({ path, content: remote.lanes.content, metadata: remote.lanes.metadata })
      } else if (!rowIdOf(local, compared).equals(remoteId)) {
        // A copy: the id as it came holds the whole message.
        differing.push({ path, remoteId: Buffer.from(remoteId) })
      }
      return undefined
    },
    changed: (path) => void changed.add(path),
    named: () => missing.length + differing.length + foreign.length,
    all: () => ({ missingRanges, missing, differing, foreign, changedLedgerPaths: [...changed] }),
  }
}

const sameId = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b))
