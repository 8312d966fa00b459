import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isCronExpression } from './cron-expression.ts'

it('given Quartz expressions and 5-field Unix ones, when checked, then they pass', () => {
  for (const text of [
    '0 0 0 * * ?',
    '*/30 * * * * ?',
    '0 15 10 L * ?',
    '0 0/5 * * * ?',
    '0 0 0 1/2 * ?',
    '0 0 0 ? * 1',
    '0 0 0 ? * 6L',
    '0 0 0 ? * 2#1',
    '0 0 0 LW * ?',
    '0 0 0 15W * ?',
    '0 0 9-17 ? JAN,mar-DEC MON-FRI',
    '0 0 0 1 1 ? 2027-2030/2',
    '*/5 0 * * 0',
    ' 0  2 * * sun ',
  ]) {
    assert.ok(isCronExpression(text), text)
  }
})

it('given other text, when checked, then it does not', () => {
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
    '0 0 0 ? * 8',
    '0 0 0 ? * 2#6',
    '? 0 0 * * ?',
    '0 0 0 * * ? 1969',
    '0 0/0 * * * ?',
    '0 1-2-3 * * * ?',
    '0 , * * * ?',
    '0 1/2/3 * * * ?',
  ]) {
    assert.ok(!isCronExpression(text), text)
  }
})
