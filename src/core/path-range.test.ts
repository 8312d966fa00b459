import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { clipRanges, coarsened, EVERY_PATH, holderOf, mergeRanges, rangeHolds, rangesOfTree } from './path-range.ts'
import type { NodePath } from './paths.ts'

const tree = (path: string) => rangesOfTree(path as NodePath)
const holds = (ranges: readonly { lo: string; hi: string | null }[], path: string) =>
  ranges.some((range) => rangeHolds(range, path))

describe('path ranges', () => {
  it('given a path, when its tree is asked for, then it holds itself and all below, and no neighbour of a similar name', () => {
    const ranges = tree('/data/report')
    for (const inside of ['/data/report', '/data/report/a', '/data/report/\u{1f600}/z'])
      assert.ok(holds(ranges, inside), inside)
    for (const outside of ['/data/report-secret', '/data/report.txt', '/data/report0', '/data', '/data/repor']) {
      assert.ok(!holds(ranges, outside), outside)
    }
  })
  it('given the root, when its tree is asked for, then it holds every path', () => {
    assert.deepEqual(tree('/'), [EVERY_PATH])
  })
  it('given overlapping trees, when merged, then no path lies in two of them', () => {
    const merged = mergeRanges([...tree('/a/b'), ...tree('/a'), ...tree('/c')])
    for (const path of ['/a', '/a/b', '/a/b/c', '/c/d']) {
      assert.equal(merged.filter((range) => rangeHolds(range, path)).length, 1, path)
    }
    assert.ok(!holds(merged, '/b'))
  })
  it('given a window, when ranges are clipped to it, then only what both hold is left', () => {
    const clipped = clipRanges(mergeRanges([...tree('/a'), ...tree('/c')]), { lo: '/a/m', hi: '/c/m' })
    for (const inside of ['/a/m', '/a/z', '/c', '/c/a']) assert.ok(holds(clipped, inside), inside)
    for (const outside of ['/a/a', '/b', '/c/m', '/c/z']) assert.ok(!holds(clipped, outside), outside)
  })
  it('given names outside the basic plane, when compared, then the order is that of UTF-8 bytes', () => {
    assert.ok(rangeHolds({ lo: '/\uffee', hi: null }, '/\u{1f600}'))
  })
  it('given any ranges, overlapping, empty or none, when looked up, then a path is held as one of them holds it', () => {
    const path = fc.string({ unit: fc.constantFrom('/', 'a', 'b', '\uffee', '\u{1f600}'), maxLength: 4 })
    const range = fc.record({ lo: path, hi: fc.option(path) })
    fc.assert(
      fc.property(fc.array(range), path, (ranges, one) => assert.equal(holderOf(ranges)(one), holds(ranges, one))),
    )
  })
})

it('given many ranges, when coarsened, then so few are left at most, and they hold all that was held', () => {
  const ranges = Array.from({ length: 10 }, (_, n) => ({ lo: `/${n}`, hi: `/${n}x` }))
  assert.equal(coarsened(ranges, 10), ranges)
  const wider = coarsened(ranges, 4)
  assert.deepEqual(wider, [
    { lo: '/0', hi: '/2x' },
    { lo: '/3', hi: '/5x' },
    { lo: '/6', hi: '/8x' },
    { lo: '/9', hi: '/9x' },
  ])
})
