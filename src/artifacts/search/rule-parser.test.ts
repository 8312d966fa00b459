import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import { nodeWords } from './node-words.ts'
import { parseRule, pinProject } from './rule-parser.ts'

const words = nodeWords(['name'], (_name, value) => Number(value))
const parse = (rule: unknown) => parseRule(rule, words)
const leaf = (field: string, operation: string, value?: unknown) => ({ field, operation, value })

function refused(rule: unknown, code: ErrorCode, name: string): void {
  assert.throws(
    () => parse(rule),
    (error) => error instanceof AppError && error.code === code && error.message.includes(name),
    `${JSON.stringify(rule)} must be ${code} ${name}`,
  )
}

describe('parseRule', () => {
  it('given each operation, when parsed, then negations are NOR nests and dates are numbers', () => {
    const nor = (test: object, field = 'name') => ({ relation: 'NOR', rules: [{ field, test }] })
    for (const [rule, wanted] of [
      [
        { field: 'name', value: 'a' },
        { field: 'name', test: { is: 'in', values: ['a'] } },
      ],
      [leaf('name', 'ne', 'a'), nor({ is: 'in', values: ['a'] })],
      [leaf('size', 'IN', [1, 2]), { field: 'size', test: { is: 'in', values: [1, 2] } }],
      [leaf('name', 'NIN', []), nor({ is: 'in', values: [] })],
      [leaf('md5', 'NULL'), nor({ is: 'present' }, 'md5')],
      [leaf('md5', 'NOT_NULL'), { field: 'md5', test: { is: 'present' } }],
      [leaf('lastModifiedDate', 'BEFORE', '5'), { field: 'lastModifiedDate', test: { is: '<', value: 5 } }],
      [leaf('size', 'GTE', 5), { field: 'size', test: { is: '>=', value: 5 } }],
      [leaf('fullPath', 'EQ', 'a//b/'), { field: 'fullPath', test: { is: 'in', values: ['/a/b'] } }],
      [leaf('folder', 'EQ', 'true'), { field: 'folder', test: { is: 'in', values: [true] } }],
      [leaf('name', 'MATCH', 'a*b'), { field: 'name', test: { is: 'match', parts: ['a', 'b'], letters: 'exact' } }],
      [leaf('name', 'MATCH', 'ab'), { field: 'name', test: { is: 'in', values: ['ab'] } }],
      [leaf('metadata.a.b', 'EQ', 1.5), { field: 'metadata', key: 'a.b', test: { is: 'in', values: [1.5] } }],
      [leaf('sha256', 'EQ', 'AB'), { field: 'sha256', test: { is: 'in', values: ['ab'] } }],
    ] as const) {
      assert.deepEqual(parse(rule), wanted)
    }
  })

  it('given a faulty rule, when parsed, then the refusal names the place', () => {
    const nested = (inner: unknown) => ({ rules: [leaf('name', 'EQ', 'a'), inner] })
    for (const [rule, code, place] of [
      [undefined, 'PARAMETER_MISSING', 'rule'],
      [[], 'PARAMETER_INVALID', '[rule]'],
      [{ rules: [] }, 'PARAMETER_INVALID', '[rule.rules]'],
      [{ rules: 'x' }, 'PARAMETER_INVALID', '[rule.rules]'],
      [{ rules: [leaf('name', 'EQ', 'a')], relation: 'XOR' }, 'PARAMETER_INVALID', '[rule.relation]'],
      [nested({ value: 1 }), 'PARAMETER_MISSING', '[rule.rules[1].field]'],
      [nested({ field: 'nothing', value: 1 }), 'PARAMETER_INVALID', '[rule.rules[1].field]'],
      [nested({ field: 'constructor', value: 1 }), 'PARAMETER_INVALID', '[rule.rules[1].field]'],
      [nested({ field: 'metadata.', value: 1 }), 'PARAMETER_INVALID', '[rule.rules[1].field]'],
      [nested(leaf('name', 'EQUALS', 'a')), 'PARAMETER_INVALID', '[rule.rules[1].operation]'],
      [nested(leaf('name', 'toString', 'a')), 'PARAMETER_INVALID', '[rule.rules[1].operation]'],
      [nested(leaf('name', 'GT', 'a')), 'PARAMETER_INVALID', '[rule.rules[1].operation]'],
      [nested(leaf('size', 'AFTER', 1)), 'PARAMETER_INVALID', '[rule.rules[1].operation]'],
      [nested(leaf('size', 'PREFIX', '1')), 'PARAMETER_INVALID', '[rule.rules[1].operation]'],
      [nested(leaf('name', 'EQ')), 'PARAMETER_MISSING', '[rule.rules[1].value]'],
      [nested(leaf('name', 'EQ', 1)), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('name', 'IN', 'a')), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('name', 'IN', ['a', 2])), 'PARAMETER_INVALID', '[rule.rules[1].value[1]]'],
      [nested(leaf('name', 'PREFIX', '')), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('size', 'GT', 1.5)), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('size', 'EQ', '1')), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('folder', 'EQ', 'yes')), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('name', 'EQ', 'a\u0000')), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('metadata.k', 'EQ', { a: 1 })), 'PARAMETER_INVALID', '[rule.rules[1].value]'],
      [nested(leaf('name', 'REGEX', 'a')), 'OPTION_NOT_BUILT', 'REGEX'],
    ] as const) {
      refused(rule, code, place)
    }
  })

  it('given limits, when a rule reaches them it is taken, and beyond refused', () => {
    const deep = (nests: number): object => (nests === 0 ? leaf('name', 'EQ', 'a') : { rules: [deep(nests - 1)] })
    parse(deep(8))
    refused(deep(9), 'QUERY_TOO_LARGE', 'deep')
    const wide = (leaves: number) => ({ rules: Array.from({ length: leaves }, () => leaf('name', 'EQ', 'a')) })
    parse(wide(50))
    refused(wide(51), 'QUERY_TOO_LARGE', 'rule.rules[50]')
    const list = (length: number) => leaf('name', 'IN', Array(length).fill('a'))
    parse(list(1000))
    refused(list(1001), 'QUERY_TOO_LARGE', 'rule.value')
    refused({ rules: Array(6).fill(list(1000)) }, 'QUERY_TOO_LARGE', 'rule.rules[5].value')
    parse(leaf('name', 'MATCH', '*'.repeat(16)))
    refused(leaf('name', 'MATCH', '*'.repeat(17)), 'QUERY_TOO_LARGE', 'stars')
    refused(leaf('name', 'EQ', 'x'.repeat(4097)), 'PARAMETER_INVALID', 'rule.value')
  })
})

describe('pinProject', () => {
  const project = leaf('projectId', 'EQ', 'p')
  const name = leaf('name', 'EQ', 'a')

  it('given a project in the outermost AND, when pinned, then the other rules are left', () => {
    assert.deepEqual(pinProject(parse(project)), { project: 'p', rules: [] })
    assert.deepEqual(pinProject(parse({ rules: [name, project] })), { project: 'p', rules: [parse(name)] })
  })

  it('given a project anywhere else, when pinned, then it is refused', () => {
    for (const rule of [
      name,
      { rules: [name, { rules: [project] }] },
      { rules: [project, name], relation: 'OR' },
      { rules: [leaf('projectId', 'NE', 'p')] },
      { rules: [leaf('projectId', 'IN', ['p', 'q'])] },
    ]) {
      assert.throws(
        () => pinProject(parse(rule)),
        (error) =>
          error instanceof AppError && error.code === 'PARAMETER_INVALID' && error.message.includes('projectId'),
      )
    }
  })
})
