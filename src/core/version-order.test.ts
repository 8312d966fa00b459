import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import semver from 'semver'
import { creationOrder, semanticOrder } from './version-order.ts'

const compare = (a: string, b: string): number =>
  Math.sign(Buffer.compare(Buffer.from(semanticOrder(a).ordinal), Buffer.from(semanticOrder(b).ordinal)))

/** The same numbers in every run. */
function* chances(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 32
  }
}

describe('order of versions', () => {
  it('given 200 random semantic versions, when any two are compared, then the ordinals agree with semver', () => {
    const chance = chances(7)
    const pick = <T>(of: readonly T[]): T => of[Math.floor(chance.next().value * of.length)]!
    const number = () => pick(['0', '1', '2', '9', '10', '11', '99', '100', '1000', '4294967296', '900719925474099'])
    const identifier = () =>
      pick(['0', '1', '2', '10', 'alpha', 'beta', 'rc', 'rc1', 'rc10', 'rc-1', 'A', 'a', 'z9', '-', '0a'])
    const version = () => {
      const prerelease = Array.from({ length: pick([0, 0, 1, 2, 3]) }, identifier).join('.')
      const build = pick(['', '', '+b1', '+b.2'])
      return `${number()}.${number()}.${number()}${prerelease === '' ? '' : `-${prerelease}`}${build}`
    }
    const versions = Array.from({ length: 200 }, version)
    for (const a of versions) {
      assert.equal(semanticOrder(a).prerelease, (semver.prerelease(a) ?? []).length > 0, a)
      for (const b of versions) assert.equal(compare(a, b), semver.compare(a, b), `${a} with ${b}`)
    }
  })

  it('given names of other customs, when ordered, then numbers count as numbers and what comes before a release comes before it', () => {
    const ascending = [
      ...['edge', 'nightly', 'nightly2', 'nightly10'],
      ...['0.9', '1.0a1', '1.0b2', '1.0.dev1', '1.0rc1', '1.0-SNAPSHOT', '1.0', '1.0.post1', '1.0.0.1', '1.0.1'],
      ...['1.2.3.4', '1.2.3.10', '1.9', '1.10.0.RC1', '1.10', 'v2', '2.0.1', '20240101', '20240101.2'],
    ]
    const shuffled = [...ascending].reverse().sort(compare)
    assert.deepEqual(shuffled, ascending)
  })

  it('given two spellings of one version, when compared, then they rank alike', () => {
    for (const [a, b] of [
      ['1', '1.0.0'],
      ['v1.2.3', '1.2.3'],
      ['1.2.0.Final', '1.2'],
      ['1.0.0+a', '1.0.0+b'],
      ['007', '7'],
    ] as const) {
      assert.equal(compare(a, b), 0, `${a} and ${b}`)
    }
  })

  it('given any name, when ordered, then the ordinal is not much longer than three times the name', () => {
    for (const name of [
      '1'.repeat(255),
      '1.'.repeat(127),
      'a1'.repeat(127),
      '1-a.0.'.repeat(42),
      'é9'.repeat(85),
      '',
    ]) {
      const { ordinal } = semanticOrder(name)
      assert.ok(Buffer.byteLength(ordinal) <= 3 * Buffer.byteLength(name) + 20, name)
      assert.ok(!/[\u0000-\u001f]/.test(ordinal))
    }
  })

  it('given tags of images, when ordered by creation, then the later one is higher whatever its name', () => {
    assert.ok(creationOrder('9.0', 999).ordinal < creationOrder('1.0', 1_700_000_000_000).ordinal)
    assert.equal(creationOrder('1.0-rc', 1).prerelease, false)
  })
})
