import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { PackageConstraint } from '../task.ts'
import { createPackageFilter } from './package-filter.ts'

const of = (...constraints: Partial<PackageConstraint>[]) =>
  createPackageFilter(constraints.map((one) => ({ packageKey: null, versions: null, ...one })))

it('given keys and versions, when a version is judged, then constraints add up', () => {
  const filter = of(
    { packageKey: 'npm://a', versions: ['1.0.0'] },
    { packageKey: 'npm://a', versions: ['2.0.0'] },
    { packageKey: 'npm://b', versions: [] },
  )
  assert.ok(filter.holds('npm://a', '1.0.0') && filter.holds('npm://a', '2.0.0') && filter.holds('npm://b', '9'))
  assert.ok(!filter.holds('npm://a', '3.0.0') && !filter.holds('npm://c', '1.0.0'))
  assert.ok(filter.holdsPackage('npm://a') && !filter.holdsPackage('npm://c'))
})

it('given expressions, when a version is judged, then they match whole keys, names and versions', () => {
  const filter = of({ packageRegex: 'left-.*', versionRegex: '1\\..*' }, { packageRegex: 'npm://@scope/.*' })
  assert.ok(filter.holds('npm://left-pad', '1.2.0') && filter.holds('npm://@scope/x', '0'))
  assert.ok(!filter.holds('npm://left-pad', '2.1.0') && !filter.holds('npm://not-left-pad', '1.2.0'))
})

it('given a key with an expression, when a version is judged, then both must hold', () => {
  const filter = of(
    { packageKey: 'npm://a', packageRegex: 'b', versions: ['1'] },
    { packageKey: 'npm://c', versions: ['1', '2'], versionRegex: '[2-9]' },
  )
  assert.ok(!filter.holdsPackage('npm://a') && !filter.holdsPackage('npm://b'))
  assert.ok(filter.holds('npm://c', '2') && !filter.holds('npm://c', '1') && !filter.holds('npm://c', '3'))
})
