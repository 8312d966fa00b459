import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { csvField } from './detail-export.ts'

describe('fields of a CSV file', () => {
  it('given any value, when written, then RFC 4180 readers get it back and spreadsheets do not calculate it', () => {
    const cases: readonly (readonly [string | number | null, string])[] = [
      [null, ''],
      [-5, '-5'],
      ['plain', 'plain'],
      ['ünï 文', 'ünï 文'],
      ['a,b', '"a,b"'],
      ['say "x"', '"say ""x"""'],
      ['two\r\nlines', '"two\r\nlines"'],
      ['=1+1', `"'=1+1"`],
      ['+1', `"'+1"`],
      ['-1', `"'-1"`],
      ['@SUM(A1)', `"'@SUM(A1)"`],
      ['\t=1', `"'\t=1"`],
      ['\n=1', `"'\n=1"`],
      ['＝1', `"'＝1"`],
      ['/=1+1', '/=1+1'],
    ]
    for (const [value, wanted] of cases) assert.equal(csvField(value), wanted, JSON.stringify(value))
  })
})
