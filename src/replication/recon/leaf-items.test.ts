import assert from 'node:assert/strict'
import { it } from 'node:test'
import { EVERY_PATH } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Fingerprints } from './fingerprints.ts'
import { leafItems } from './leaf-items.ts'
import { NO_LEDGER } from './ledger-index.ts'

function fingerprintsOf(paths: readonly string[]): Fingerprints {
  const lanes = [1, 2, 3, 4] as const
  return {
    rows: async ({ lo, hi }, limit) =>
      paths
        .filter((path) => comparePaths(path, lo) >= 0 && (hi === null || comparePaths(path, hi) < 0))
        .slice(0, limit)
        .map((path) => ({ path, content: lanes, metadata: lanes })),
    sums: async () => assert.fail('nothing is summed'),
    cuts: async () => assert.fail('nothing is cut'),
  }
}

for (const count of [0, 1, 31, 32, 33, 1_024, 1_025, 3_000]) {
  it(`given ${count} rows, when said row by row, then lists follow each other over the whole scope, and none is longer than a list may be`, async () => {
    const paths = Array.from({ length: count }, (_, n) => `/f${String(n).padStart(5, '0')}`)
    const side = { local: fingerprintsOf(paths), ledger: NO_LEDGER, compared: 'content' } as const
    const { items, rows } = await leafItems(side, [EVERY_PATH])
    assert.equal(rows, count)
    const ranges = items.map((item) => (item.kind === 'refine' ? item.range : assert.fail(item.kind)))
    assert.equal(ranges[0]!.lo, EVERY_PATH.lo)
    assert.equal(ranges.at(-1)!.hi, null)
    for (const [place, { hi }] of ranges.slice(0, -1).entries()) assert.equal(ranges[place + 1]!.lo, hi)
    for (const range of ranges) assert.ok((await side.local.rows(range, 1_000)).length <= 64)
  })
}
