import assert from 'node:assert/strict'
import { it } from 'node:test'
import { holderOf } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import type { PathConstraint } from '../task.ts'
import { selectPaths } from './path-selection.ts'

const FILES = ['/a', '/a/b', '/a/x.log', '/a/y.log', '/a/deep/z.log', '/ab/x.log', '/c/*.log', '/c/1.log', '/top.log']
const select = (constraints: readonly (string | PathConstraint)[] | undefined, stored: readonly string[] = []) =>
  selectPaths(
    constraints?.map((one) => (typeof one === 'string' ? { path: one as NodePath } : one)),
    (path) => stored.includes(path),
  )
function chosen(...args: Parameters<typeof select>): string[] {
  const { ranges, holds } = select(...args)
  const isCovered = holderOf(ranges)
  const some = FILES.filter((path) => isCovered(path) && (holds?.(path) ?? true))
  if (holds) assert.deepEqual(some, FILES.filter(holds), 'the ranges cover what the filter holds')
  return some
}

it('given plain paths, when selected, then the ranges say it all', () => {
  assert.equal(select(['/a']).holds, undefined)
  assert.deepEqual(chosen(['/a']), ['/a', '/a/b', '/a/x.log', '/a/y.log', '/a/deep/z.log'])
  assert.deepEqual(chosen(undefined), FILES)
  assert.deepEqual(chosen(['/', '/a']), FILES)
  assert.deepEqual(select(['/', '/a', '/a']).named, ['/a'])
  assert.equal(select(['/']).watch, undefined)
})

it('given * in the last name, when no such node exists, then files directly in the folder with such a name are selected', () => {
  assert.deepEqual(chosen(['/a/*.log']), ['/a/x.log', '/a/y.log'])
  assert.deepEqual(chosen(['/*.log']), ['/top.log'])
  assert.deepEqual(chosen(['/a/x*']), ['/a/x.log'])
  assert.deepEqual(chosen(['/a/*']), ['/a/b', '/a/x.log', '/a/y.log'])
  assert.deepEqual(chosen(['/c/*.log']), ['/c/*.log', '/c/1.log'])
  assert.deepEqual(chosen(['/c/*.log'], ['/c/*.log']), ['/c/*.log'], 'a node of this very name is meant')
  assert.deepEqual(chosen(['/a*/x.log']), [], '* above the last name is itself')
})

it('given expressions, when selected, then they match whole paths, within their path', () => {
  const where = (path: string | null, pathRegex: string) => ({ path: path as NodePath | null, pathRegex })
  assert.deepEqual(chosen([where(null, '.*\\.log')]), FILES.slice(2))
  assert.deepEqual(chosen([where('/a', '.*\\.log')]), ['/a/x.log', '/a/y.log', '/a/deep/z.log'])
  assert.deepEqual(chosen([where('/a', 'x\\.log')]), [], 'the whole path')
  assert.deepEqual(chosen([where('/a/*.log', '.*x.*'), '/top.log']), ['/a/x.log', '/top.log'])
})

it('given patterns and expressions, when files were seen, then those that fitted none are known', () => {
  const { watch, named } = select([
    '/a/*.log',
    '/a/*.nope',
    { path: null, pathRegex: '/none' },
    { path: '/ab' as NodePath, pathRegex: '.*' },
    '/gone',
  ])
  const watching = watch!()
  for (const path of FILES) watching.saw(path)
  assert.deepEqual(watching.silent(), ['/a/*.nope', '/none'])
  assert.deepEqual(named, ['/gone', '/ab'])
})

it('given selections, when their identities are compared, then only equal ones are alike', () => {
  const identities = [
    select(['/a/*.log']),
    select(['/a/*.log'], ['/a/*.log']),
    select(['/a/*.lo*']),
    select(['/a']),
    select(undefined),
    select([{ path: '/a' as NodePath, pathRegex: '.*' }]),
    select([{ path: '/a' as NodePath, pathRegex: '.+' }]),
  ].map(({ identity }) => JSON.stringify(identity))
  assert.equal(new Set(identities).size, identities.length)
  assert.deepEqual(select(['/b', '/a/*', '/a']).identity, select(['/a', '/b', '/b', '/a/*']).identity)
})

it('given ten thousand constraints of every kind, when a path is judged, then a look-up does it', () => {
  const constraints = Array.from({ length: 10_000 }, (_, n): PathConstraint => {
    if (n % 3 === 0) return { path: `/trees/${n}` as NodePath }
    if (n % 3 === 1) return { path: `/names/f-${n}-*.jar` as NodePath }
    return { path: null, pathRegex: `/expressions/[a-z]+/${n % 200}` }
  })
  const { holds } = select(constraints)
  for (let n = 0; n < 9_999; n += 3) {
    assert.ok(
      holds!(`/trees/${n}/x`) && holds!(`/names/f-${n + 1}-1.jar`) && holds!(`/expressions/abc/${(n + 2) % 200}`),
    )
    assert.ok(!holds!(`/trees/${n}x`) && !holds!(`/names/f-${n}-1.jar`) && !holds!('/expressions/abc/200'))
  }
})
