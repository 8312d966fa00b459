import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseCron } from './cron-expression.ts'

it('given Quartz expressions and 5-field Unix ones, when read, then they have seconds first and nothing ambiguous', () => {
  for (const [text, pattern] of [
    ['0 0 0 * * ?', '0 0 0 * * ?'],
    ['*/30 * * * * ?', '*/30 * * * * ?'],
    ['0 15 10 L * ?', '0 15 10 L * ?'],
    ['0 0/5 * * * ?', '0 0/5 * * * ?'],
    ['0 0 0 ? * 6L', '0 0 0 ? * 6L'],
    ['0 0 0 ? * 2#1', '0 0 0 ? * 2#1'],
    ['0 0 0 LW * ?', '0 0 0 LW * ?'],
    ['0 0 0 15W * ?', '0 0 0 15W * ?'],
    ['0 0 0 ? * L', '0 0 0 ? * 7'],
    ['0 0 9-17 ? JAN,mar-DEC MON-FRI', '0 0 9-17 ? 1,3-12 2-6'],
    ['0 0 0 1 1 ? 2027-2030/2', '0 0 0 1 1 ? 2027-2030/2'],
    ['0 0 22-2 * * ?', '0 0 22,23,0,1,2 * * ?'],
    ['0 0 22-4/2 * * ?', '0 0 22,0,2,4 * * ?'],
    ['0 0 0 ? * FRI-MON', '0 0 0 ? * 6,7,1,2'],
    ['*/5 0 * * 0', '0 */5 0 * * 0'],
    ['0 2 * * fri-mon', '0 0 2 * * 5,6,0,1'],
    ['0 2 * * 5-7', '0 0 2 * * 5-7'],
    [' 0  2 * * sun ', '0 0 2 * * 0'],
  ] as const) {
    assert.equal(parseCron(text)?.pattern, pattern, text)
  }
  assert.deepEqual([parseCron('0 2 * * 1')?.sundayIs, parseCron('0 0 2 * * 1')?.sundayIs], [0, 1])
})

it('given other text, when read, then it is no expression', () => {
  for (const text of [
    '',
    'every day at noon please now',
    '* * * *',
    '* * * * * * * *',
    '60 * * * * ?',
    '0 60 * * * ?',
    '0 0 24 * * ?',
    '0 0 0 0 * ?',
    '0 0 0 32 * ?',
    '0 0 0 L-3 * ?',
    '0 0 0 1 13 ?',
    '0 0 0 ? * 0',
    '0 0 0 ? * 8',
    '0 0 0 ? * 2#6',
    '0 0 * * 8',
    '0 0 * * L',
    '? 0 0 * * ?',
    '0 0 0 * * ? 1969',
    '0 0 0 * * ? 2030-2027',
    '0 0/0 * * * ?',
    '0 1-2-3 * * * ?',
    '0 , * * * ?',
    '0 1/2/3 * * * ?',
    `0 ${'1,'.repeat(600)}1 * * * ?`,
  ]) {
    assert.equal(parseCron(text), undefined, text)
  }
})
