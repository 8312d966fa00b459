import assert from 'node:assert/strict'
import { it } from 'node:test'
import { remoteText } from './remote-text.ts'

it('given texts of somebody else, when taken, then they are short, whole and without control characters', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    ['plain, é 😀', 'plain, é 😀'],
    ['nul \0 and \u001b[2J\r\n\u0085', 'nul   and  [2J   '],
    ['\ud800 alone', '\ufffd alone'],
    [`${'x'.repeat(999)}😀`, `${'x'.repeat(999)}\ufffd`],
    [{ toString: 1 }, ''],
    [undefined, ''],
  ]
  for (const [given, expected] of cases) assert.equal(remoteText(given), expected)
  assert.equal(remoteText('y'.repeat(9_000_000)).length, 1_000)
})
