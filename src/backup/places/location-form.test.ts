import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../../core/errors.ts'
import { isInside, readLocation } from './location-form.ts'

const MAP = [
  { from: 'F:\\', to: '/srv/f' },
  { from: 'f:/old', to: '/srv/old' },
]
const POSIX = { rules: 'posix', base: '/data/backups', map: MAP } as const
const WINDOWS = { rules: 'win32', base: 'D:\\data\\backups', map: [] } as const

const isRefused = (text: string, of: typeof POSIX | typeof WINDOWS): boolean => {
  try {
    readLocation(text, of, 'storeLocation')
    return false
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'PARAMETER_INVALID' && error.detail.name === 'storeLocation')
    return true
  }
}

it('given locations, when they are read where paths are of POSIX, then Windows forms follow the map and nothing else', () => {
  for (const [text, path] of [
    ['nightly', '/data/backups/nightly'],
    ['a/./b//c/', '/data/backups/a/b/c'],
    ['/mnt/share', '/mnt/share'],
    ['/mnt/..x', '/mnt/..x'],
    ['F:\\backuptest', '/srv/f/backuptest'],
    ['f:/a\\b', '/srv/f/a/b'],
    ['F:\\OLD\\x.zip', '/srv/old/x.zip'],
    ['F:\\older', '/srv/f/older'],
    ['F:\\', '/srv/f'],
  ] as const) {
    assert.equal(readLocation(text, POSIX, 'storeLocation'), path, text)
  }
  for (const text of ['G:\\backuptest', 'F:backuptest', 'c:', 'a\\b', '\\a']) assert.ok(isRefused(text, POSIX), text)
})

it('given locations, when they are read on Windows, then drives and relative names are taken and other forms are not', () => {
  for (const [text, path] of [
    ['nightly', 'D:\\data\\backups\\nightly'],
    ['F:\\backuptest', 'F:\\backuptest'],
    ['f:/a/b', 'f:\\a\\b'],
  ] as const) {
    assert.equal(readLocation(text, WINDOWS, 'storeLocation'), path, text)
  }
  for (const text of ['/mnt/x', '\\x', 'F:x', 'a/CON', 'a/nul.txt', 'a:stream', 'F:\\a|b', 'a./b', 'a /b', 'x?'])
    assert.ok(isRefused(text, WINDOWS), text)
})

it('given what no system should take, when it is read anywhere, then it is refused', () => {
  const texts = [
    '',
    ' ',
    '..',
    '../x',
    '/a/../x',
    'a\\..\\b',
    'a/..',
    '\\\\server\\share',
    '\\\\?\\F:\\x',
    '//server/x',
  ]
  for (const text of [...texts, 'a\u0000b', 'a\nb', 'a\u007fb', 'a\u0085b', 'x'.repeat(1025)]) {
    assert.ok(isRefused(text, POSIX) && isRefused(text, WINDOWS), JSON.stringify(text))
  }
})

it('given paths and roots, when one is asked to be inside, then whole segments count, and case only where it does', () => {
  for (const [path, root, rules, expected] of [
    ['/a/b', '/a', 'posix', true],
    ['/a', '/a', 'posix', true],
    ['/ab', '/a', 'posix', false],
    ['/a/..x', '/a', 'posix', true],
    ['/A/b', '/a', 'posix', false],
    ['/b', '/', 'posix', true],
    ['f:\\Backups\\x', 'F:\\backups', 'win32', true],
    ['F:\\backups2', 'F:\\backups', 'win32', false],
    ['G:\\backups', 'F:\\backups', 'win32', false],
  ] as const) {
    assert.equal(isInside(path, root, rules), expected, `${path} in ${root}`)
  }
})

it('given any text that is relative, when it is taken, then it stays inside its base', () => {
  const signs = [...'./\\:ab \u0000~']
  const text = fc.array(fc.constantFrom(...signs, '..', 'C:'), { maxLength: 12 }).map((parts) => parts.join(''))
  for (const rules of [POSIX, WINDOWS]) {
    fc.assert(
      fc.property(text, (given) => {
        if (/^(?:\/|[a-z]:)/i.test(given) || isRefused(given, rules)) return
        assert.ok(isInside(readLocation(given, rules, 'storeLocation'), rules.base, rules.rules), given)
      }),
    )
  }
})
