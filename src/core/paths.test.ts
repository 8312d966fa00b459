import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../test/helpers/ids.ts'
import { hasCode } from './errors.ts'
import { ancestorsOf, comparePaths, isWithin, type NodePath, nameOf, normalisePath, parentOf, ROOT } from './paths.ts'

const isPathInvalid = (error: unknown) => hasCode(error, 'PATH_INVALID')
const segments = (count: number) => Array.from({ length: count }, (_, at) => `s${at}`).join('/')

describe('acceptance 15.1: normalisePath', () => {
  const TABLE: readonly (readonly [string, string])[] = [
    ['a/b/', '/a/b'],
    ['\\a\\\\b', '/a/b'],
    ['/a/./b//c', '/a/b/c'],
    ['/a/../b', '/b'],
    ['/../../x', '/x'],
    ['', '/'],
    ['///', '/'],
    ['/ a /b ', '/a/b'],
    ['a/b/../../../../c', '/c'],
    ['..\\..\\etc\\passwd', '/etc/passwd'],
    ['/a/ .. /b', '/b'],
    ['/a/.../b', '/a/.../b'],
    ['/A/a', '/A/a'],
    ['/%2e%2e/x', '/%2e%2e/x'],
  ]
  for (const [input, expected] of TABLE) {
    it(`given ${JSON.stringify(input)}, when normalised, then it is ${JSON.stringify(expected)}`, () => {
      assert.equal(normalisePath(input), expected)
    })
  }

  it('given 64 levels, when normalised, then they pass; given 65, then they are refused', () => {
    assert.equal(normalisePath(segments(64)).split('/').length - 1, 64)
    assert.throws(() => normalisePath(segments(65)), isPathInvalid)
  })

  it('given a name of 1024 characters, when normalised, then it passes; given 1025, then it is refused', () => {
    assert.equal(normalisePath('n'.repeat(1024)).length, 1025)
    assert.throws(() => normalisePath('n'.repeat(1025)), isPathInvalid)
  })

  it('given 2600 bytes of UTF-8, when normalised, then they pass; given one more, then they are refused', () => {
    const longest = `/${['é'.repeat(500), 'é'.repeat(500), 'é'.repeat(296)].join('/')}/xyzw`
    assert.equal(Buffer.byteLength(longest), 2600)
    assert.equal(normalisePath(longest), longest)
    assert.throws(() => normalisePath(`${longest}x`), isPathInvalid)
  })

  it('given NUL, a control character or half a surrogate pair, when normalised, then it is refused', () => {
    for (const bad of ['/a\u0000b', '/a\u001fb', '/a\nb', '/\u0001', '/a\ud800b']) {
      assert.throws(() => normalisePath(bad), isPathInvalid, JSON.stringify(bad))
    }
  })

  it('given composed and decomposed letters, when normalised, then they stay two different names', () => {
    assert.notEqual(normalisePath('/\u00e9'), normalisePath('/e\u0301'))
  })

  it('given random paths, when normalised twice, then nothing changes and no segment is empty, `.` or `..`', () => {
    const random = seededRandom(7)
    const pieces = ['/', '\\', '.', '..', ' ', 'a', 'b c', '%2e', '…', '😀', '\u00a0', '..a', 'x'.repeat(40)]
    for (let round = 0; round < 5_000; round++) {
      const length = Math.floor(random.next() * 24)
      const raw = Array.from({ length }, () => pieces[Math.floor(random.next() * pieces.length)]).join('')
      const once = normalisePath(raw)
      assert.equal(normalisePath(once), once, JSON.stringify(raw))
      assert.ok(once.startsWith('/'), JSON.stringify(raw))
      const names = once === ROOT ? [] : once.slice(1).split('/')
      for (const name of names) {
        assert.ok(name !== '' && name !== '.' && name !== '..' && name === name.trim(), JSON.stringify(raw))
      }
    }
  })
})

describe('parts of a path', () => {
  const deep = '/a/b/c' as NodePath

  it('given a path, when its parent, name and ancestors are asked for, then they follow the segments', () => {
    assert.equal(parentOf(deep), '/a/b')
    assert.equal(parentOf('/a' as NodePath), ROOT)
    assert.equal(parentOf(ROOT), ROOT)
    assert.equal(nameOf(deep), 'c')
    assert.equal(nameOf(ROOT), '')
    assert.deepEqual(ancestorsOf(deep), ['/a', '/a/b'])
    assert.deepEqual(ancestorsOf('/a' as NodePath), [])
    assert.deepEqual(ancestorsOf(ROOT), [])
  })

  it('given a sibling whose name begins alike, when asked whether it lies within, then it does not', () => {
    assert.equal(isWithin(deep, '/a/b' as NodePath), true)
    assert.equal(isWithin(deep, deep), true)
    assert.equal(isWithin(deep, ROOT), true)
    assert.equal(isWithin('/a/bc' as NodePath, '/a/b' as NodePath), false)
  })

  it('given a name outside the basic plane, when compared, then the order is that of UTF-8 bytes', () => {
    assert.ok(comparePaths('/\uffee', '/😀') < 0)
    assert.ok('/\uffee' > '/😀')
  })
})
