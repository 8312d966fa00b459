import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type MemoryFingerprints, memoryFingerprints } from '../../../test/helpers/memory-fingerprints.ts'
import {
  addSums,
  type ComparedLanes,
  EMPTY_SUM,
  type FingerprintRow,
  type RangeSum,
  rowIdOf,
  sumOfRow,
} from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import { EVERY_PATH, mergeRanges, type PathRange, rangeHolds } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { answerRecon } from './answer.ts'
import { type Differences, type LedgerEntry, type Reconciliation, reconcile } from './reconcile.ts'

const NEVER = new AbortController().signal
/** A row whose lanes follow from two small numbers, as content and metadata would. */
const rowOf = (path: string, content: number, metadata = 0): FingerprintRow => {
  return { path, content: lanesOf(path, content), metadata: lanesOf(path, metadata + 1_000) }
}
function lanesOf(path: string, seed: number): Lanes {
  let hash = seed * 2_654_435_761
  for (const unit of path) hash = Math.imul(hash ^ unit.codePointAt(0)!, 0x01000193)
  const next = (n: number) => Math.imul(hash ^ (n * 0x9e3779b9), 0x85ebca6b) | 0
  return [next(1), next(2), next(3), next(4)]
}
const minus = (a: RangeSum): RangeSum => {
  const negative = ([w, x, y, z]: RangeSum['content']) => [-w, -x, -y, -z] as const
  return { rows: -a.rows, content: negative(a.content), metadata: negative(a.metadata) }
}
const sumOf = (row: FingerprintRow | undefined): RangeSum => (row === undefined ? EMPTY_SUM : sumOfRow(row))
/** The entry that accepts what stands at a path. */
const accept = (path: string, local: FingerprintRow | undefined, remote: FingerprintRow | undefined): LedgerEntry => {
  return { path, delta: addSums(sumOf(remote), minus(sumOf(local))) }
}
const numbered = (count: number, content = 1) =>
  Array.from({ length: count }, (_, n) =>
    rowOf(`/com/example/lib-${n % 97}/file-${String(n).padStart(7, '0')}.jar`, content),
  )

const numbers = (count: number, rowsOf: (n: number) => FingerprintRow[]): FingerprintRow[] =>
  Array.from({ length: count }, (_, n) => rowsOf(n)).flat()

type Asked = Partial<Omit<Reconciliation, 'local' | 'ask'>> & { readonly between?: (round: number) => void }

function run(source: MemoryFingerprints, target: MemoryFingerprints, asked: Asked = {}): Promise<Differences> {
  const { between, ...order } = asked
  let round = 0
  const ask = async (message: Buffer, signal: AbortSignal) => {
    const answer = await answerRecon(message, target, signal)
    between?.(round++)
    return answer
  }
  return reconcile(
    { compared: 'content+metadata', scope: [EVERY_PATH], ledger: [], ...order, local: source, ask },
    NEVER,
  )
}

/** What is missing at the target, path by path, whatever form it was named in. */
function missingOf(found: Differences, source: MemoryFingerprints): string[] {
  const inRanges = source.all().filter(({ path }) => found.missingRanges.some((range) => rangeHolds(range, path)))
  return [...found.missing, ...inRanges.map(({ path }) => path)].sort(comparePaths)
}
const sorted = (paths: Iterable<string>): string[] => [...paths].sort(comparePaths)

interface Named {
  readonly missing: string[]
  readonly differing: string[]
  readonly foreign: string[]
}
const namesOf = (found: Differences, source: MemoryFingerprints): Named => ({
  missing: missingOf(found, source),
  differing: sorted(found.differing.map(({ path }) => path)),
  foreign: sorted(found.foreign.map(({ path }) => path)),
})

/** What a listing of both sides would say. */
function listed(
  source: MemoryFingerprints,
  target: MemoryFingerprints,
  scope: readonly PathRange[],
  compared: ComparedLanes,
  isAccepted: (path: string) => boolean,
): Named {
  const [ours, theirs] = [source, target].map((side) => new Map(side.all().map((row) => [row.path, row])))
  const named: Named = { missing: [], differing: [], foreign: [] }
  for (const path of sorted(new Set([...ours!.keys(), ...theirs!.keys()]))) {
    if (isAccepted(path) || !scope.some((range) => rangeHolds(range, path))) continue
    const [here, there] = [ours!.get(path), theirs!.get(path)]
    if (there === undefined) named.missing.push(path)
    else if (here === undefined) named.foreign.push(path)
    else if (!rowIdOf(here, compared).equals(rowIdOf(there, compared))) named.differing.push(path)
  }
  return named
}

const segment = fc.constantFrom('a', 'b', 'com', 'é', '\uffee', '😀', '😁', 'a😀', 'lib-1.0', '-', '~', 'ab', '\u0001')
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`)
const bound = fc.oneof(
  path,
  fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join('')}`),
)
const range = fc.tuple(bound, fc.option(bound)).map(([lo, hi]): PathRange => ({ lo, hi }))
const scope = fc.oneof(fc.constant([EVERY_PATH]), fc.array(range, { maxLength: 4 }))
/** How a path stands: at the source, at the target, and whether the ledger accepts that; 0: no row. */
const stand = fc.record({
  here: fc.integer({ min: 0, max: 2 }),
  there: fc.integer({ min: 0, max: 2 }),
  metadata: fc.constantFrom(0, 0, 0, 1),
  accepted: fc.constantFrom(false, false, true),
})
const compared = fc.constantFrom<ComparedLanes>('content', 'content+metadata')
/** Mostly equal, or anything. */
const tree = fc.uniqueArray(
  fc.tuple(path, fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: stand })),
  {
    selector: ([at]) => at,
    maxLength: 600,
    size: 'max',
  },
)
function sidesOf(
  stands: readonly (readonly [
    string,
    { here: number; there: number; metadata: number; accepted: boolean } | undefined,
  ])[],
) {
  const source: FingerprintRow[] = []
  const target: FingerprintRow[] = []
  const ledger: LedgerEntry[] = []
  for (const [at, stand] of stands) {
    const { here, there, metadata, accepted } = stand ?? { here: 1, there: 1, metadata: 0, accepted: false }
    const ours = here === 0 ? undefined : rowOf(at, here)
    const theirs = there === 0 ? undefined : rowOf(at, there, metadata)
    if (ours !== undefined) source.push(ours)
    if (theirs !== undefined) target.push(theirs)
    if (accepted) ledger.push(accept(at, ours, theirs))
  }
  return { source, target, ledger }
}

describe('reconciliation', () => {
  it('given any two trees, scope and ledger, when reconciled, then exactly the differences of the scope are named', async () => {
    const bucketRows = fc.constantFrom(1, 3, 16, 256)
    await fc.assert(
      fc.asyncProperty(tree, scope, compared, bucketRows, bucketRows, async (stands, ranges, lanes, ours, theirs) => {
        const sides = sidesOf(stands)
        const source = memoryFingerprints(sides.source, ours)
        const target = memoryFingerprints(sides.target, theirs)
        const found = await run(source, target, { scope: ranges, compared: lanes, ledger: sides.ledger })
        const accepted = new Set(sides.ledger.map((entry) => entry.path))
        const within = mergeRanges(ranges.filter(({ lo, hi }) => hi === null || comparePaths(lo, hi) < 0))
        assert.deepEqual(
          namesOf(found, source),
          listed(source, target, within, lanes, (at) => accepted.has(at)),
        )
        assert.deepEqual(found.changedLedgerPaths, [])
        for (const row of found.foreign)
          assert.deepEqual(
            row,
            target.all().find((one) => one.path === row.path),
          )
      }),
      { numRuns: 80 },
    )
  })
  it('given accepted differences that either side changed, when reconciled, then they are reported, and named as they stand', async () => {
    const change = fc.tuple(fc.nat(), fc.boolean(), fc.integer({ min: 0, max: 4 }))
    await fc.assert(
      fc.asyncProperty(tree, fc.array(change, { maxLength: 20 }), compared, async (stands, changes, lanes) => {
        const sides = sidesOf(stands)
        const source = memoryFingerprints(sides.source, 16)
        const target = memoryFingerprints(sides.target, 16)
        const touched = new Set<string>()
        for (const [pick, atSource, content] of changes) {
          const entry = sides.ledger[pick % Math.max(1, sides.ledger.length)]
          if (entry === undefined || touched.has(entry.path)) continue
          const side = atSource ? source : target
          const before = side.all().find((row) => row.path === entry.path)
          const after = content === 0 ? undefined : rowOf(entry.path, content + 10)
          if (before === undefined && after === undefined) continue
          side.change([[entry.path, after]])
          touched.add(entry.path)
        }
        const found = await run(source, target, { compared: lanes, ledger: sides.ledger })
        const accepted = new Set(sides.ledger.flatMap((entry) => (touched.has(entry.path) ? [] : [entry.path])))
        assert.deepEqual(
          namesOf(found, source),
          listed(source, target, [EVERY_PATH], lanes, (at) => accepted.has(at)),
        )
        assert.deepEqual(sorted(found.changedLedgerPaths), sorted(touched))
      }),
      { numRuns: 80 },
    )
  })
  it('given both sides change between the rounds, when reconciled, then paths that nobody touched are named exactly when they differ', async () => {
    const change = fc.record({
      pick: fc.nat(),
      at: fc.option(path),
      atSource: fc.boolean(),
      content: fc.nat({ max: 3 }),
    })
    const rounds = fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 8 })
    const bucketRows = fc.constantFrom(1, 3, 16, 256)
    const all = [tree, rounds, scope, compared, bucketRows, bucketRows] as const
    await fc.assert(
      fc.asyncProperty(...all, async (stands, changes, ranges, lanes, ours, theirs) => {
        const sides = sidesOf(stands)
        const [source, target] = [memoryFingerprints(sides.source, ours), memoryFingerprints(sides.target, theirs)]
        const touched = new Set<string>()
        const found = await run(source, target, {
          ...{ scope: ranges, compared: lanes, ledger: sides.ledger },
          between(round) {
            for (const { pick, at, atSource, content } of changes[round] ?? []) {
              // A path that is there, or any: both make rows come, go and change.
              const place = at ?? stands[pick % Math.max(1, stands.length)]?.[0] ?? '/a'
              touched.add(place)
              const side = atSource ? source : target
              side.change([[place, content === 0 ? undefined : rowOf(place, content + 20)]])
            }
          },
        })
        const accepted = new Set(sides.ledger.map((entry) => entry.path))
        const within = mergeRanges(ranges.filter(({ lo, hi }) => hi === null || comparePaths(lo, hi) < 0))
        const untouched = (paths: readonly string[]) => paths.filter((at) => !touched.has(at))
        const names = namesOf(found, source)
        assert.deepEqual(
          {
            missing: untouched(names.missing),
            differing: untouched(names.differing),
            foreign: untouched(names.foreign),
          },
          listed(source, target, within, lanes, (at) => accepted.has(at) || touched.has(at)),
        )
        assert.deepEqual(untouched(found.changedLedgerPaths), [])
      }),
      { numRuns: 150 },
    )
  })
  it('given equal sides of 3,000 rows, when reconciled, then it takes one round', async () => {
    const found = await run(memoryFingerprints(numbered(3_000)), memoryFingerprints(numbered(3_000), 100))
    assert.deepEqual(
      [found.rounds, found.missing, found.missingRanges, found.differing, found.foreign],
      [1, [], [], [], []],
    )
    assert.equal(found.receivedBytes, 2)
  })
  it('given an empty target, when reconciled, then the whole scope is missing as one range after one round', async () => {
    const found = await run(memoryFingerprints(numbered(3_000)), memoryFingerprints([]))
    assert.deepEqual([found.missingRanges, found.missing, found.rounds], [[EVERY_PATH], [], 1])
  })
  it('given two empty sides, when reconciled, then nothing is named', async () => {
    const found = await run(memoryFingerprints([]), memoryFingerprints([]))
    assert.deepEqual([found.missingRanges, found.foreign, found.rounds], [[], [], 1])
  })
  it('given a target with a few of many rows, when reconciled, then what lies between them is named by ranges', async () => {
    const rows = numbered(20_000)
    const source = memoryFingerprints(rows)
    const kept = [rows[5]!, rows[7_777]!, rows[19_000]!]
    const found = await run(source, memoryFingerprints(kept))
    const names = namesOf(found, source)
    assert.equal(names.missing.length, 20_000 - 3)
    assert.ok(found.missingRanges.length < 10 && found.missing.length < 2_000, `${found.missingRanges.length} ranges`)
  })
  it('given far more foreign rows than a message holds, when reconciled, then all come with their lanes', async () => {
    const rows = numbered(30_000)
    const found = await run(memoryFingerprints([]), memoryFingerprints(rows))
    assert.equal(found.foreign.length, 30_000)
    assert.ok(found.rounds <= 6, `${found.rounds} rounds`)
  })
  it('given long paths, so that messages have no room for all, when reconciled, then exactly the differences are named', async () => {
    const at = (n: number) => `/${String(n).padStart(4, '0')}${'x'.repeat(900)}`
    const source = memoryFingerprints(numbers(6_000, (n) => (n % 5 === 0 ? [] : [rowOf(at(n), 1)])))
    const target = memoryFingerprints(numbers(6_000, (n) => (n % 7 === 0 ? [] : [rowOf(at(n), n % 3)])))
    const ledger = [accept(at(3), rowOf(at(3), 1), rowOf(at(3), 0))]
    const found = await run(source, target, { ledger })
    const expected = listed(source, target, [EVERY_PATH], 'content+metadata', (path) => path === at(3))
    assert.deepEqual(namesOf(found, source), expected)
    assert.ok(found.rounds > 5, `${found.rounds} rounds`)
  })
  it('given everything differs, when reconciled, then every path is named', async () => {
    const found = await run(memoryFingerprints(numbered(30_000)), memoryFingerprints(numbered(30_000, 2)))
    assert.equal(new Set(found.differing.map(({ path }) => path)).size, 30_000)
  })
  it('given more differences than are to be named, when reconciled, then it stops and says so', async () => {
    const source = memoryFingerprints(numbered(30_000))
    const found = await run(source, memoryFingerprints(numbered(30_000, 2)), { atMost: 10 })
    assert.equal(found.complete, false)
    assert.ok(found.differing.length > 10)
  })
})
