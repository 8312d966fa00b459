import {
  addSums,
  type ComparedLanes,
  EMPTY_SUM,
  type FingerprintRow,
  rowIdOf,
  sumOfRow,
} from '../../core/fingerprint.ts'
import { comparePaths } from '../../core/paths.ts'
import type { LedgerEntry } from './ledger-index.ts'

/** A path that this side has, or that its ledger speaks of. */
export interface Line {
  readonly path: string
  readonly local: FingerprintRow | undefined
  readonly entry: LedgerEntry | undefined
}

/** What the other side is expected to have at a path. */
export interface Expected {
  /** Null: no row. */
  readonly id: Buffer | null
  /** The local row is not the one that the ledger's entry was made for. */
  readonly stale: boolean
}

/** Both ascending. */
export function mergeLines(rows: readonly FingerprintRow[], entries: readonly LedgerEntry[]): Line[] {
  const lines: Line[] = []
  let next = 0
  for (const local of rows) {
    while (next < entries.length && comparePaths(entries[next]!.path, local.path) < 0)
      lines.push(ofEntry(entries[next++]!))
    const entry = entries[next]?.path === local.path ? entries[next++] : undefined
    lines.push({ path: local.path, local, entry })
  }
  while (next < entries.length) lines.push(ofEntry(entries[next++]!))
  return lines
}
const ofEntry = (entry: LedgerEntry): Line => ({ path: entry.path, local: undefined, entry })

/** An entry that does not fit the local row counts as none. */
export function expectedOf({ local, entry }: Line, compared: ComparedLanes): Expected {
  const own = local === undefined ? null : rowIdOf(local, compared)
  if (entry === undefined) return { id: own, stale: false }
  const sum = addSums(local === undefined ? EMPTY_SUM : sumOfRow(local), entry.delta)
  const lanes = compared === 'content' ? sum.content : [...sum.content, ...sum.metadata]
  if (sum.rows === 0 && lanes.every((lane) => lane === 0n)) return { id: null, stale: false }
  if (sum.rows !== 1 || !lanes.every((lane) => BigInt.asIntN(32, lane) === lane)) return { id: own, stale: true }
  return { id: rowIdOf({ content: small(sum.content), metadata: small(sum.metadata) }, compared), stale: false }
}
const small = ([a, b, c, d]: readonly [bigint, bigint, bigint, bigint]) =>
  [
    Number(BigInt.asIntN(32, a)),
    Number(BigInt.asIntN(32, b)),
    Number(BigInt.asIntN(32, c)),
    Number(BigInt.asIntN(32, d)),
  ] as const
