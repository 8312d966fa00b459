import assert from 'node:assert/strict'
import { it } from 'node:test'
import { chosen, fieldsOf } from './request-fields.ts'

it('given a JSON object, when its fields are read, then null and inherited names count as absent', () => {
  const fields = fieldsOf({ a: null, text: '', list: [1], object: { b: 1 }, flag: false, number: 3 })
  assert.deepEqual(
    [
      fields.raw('a'),
      fields.raw('toString'),
      fields.text('b'),
      fields.flag('b'),
      fields.integer('b'),
      fields.list('b'),
    ],
    Array(6).fill(undefined),
  )
  assert.deepEqual(
    [fields.text('text'), fields.flag('flag'), fields.integer('number'), fields.list('list')],
    ['', false, 3, [1]],
  )
  assert.equal(fields.object('object')?.integer('b'), 1)
  assert.equal(fields.object('a'), undefined)
  assert.equal(fields.choice('a', ['X']), undefined)
})

it('given a field of a wrong kind, when it is read, then the refusal names it', () => {
  const fields = fieldsOf({ n: 1.5, t: 7, blank: ' ', nul: 'a\u0000', half: '\ud800', e: 'x' })
  const refusals: [read: () => unknown, code: string, name: string][] = [
    [() => fieldsOf(null), 'REQUEST_CONTENT_INVALID', 'the body'],
    [() => fieldsOf([], 'setting'), 'REQUEST_CONTENT_INVALID', 'setting'],
    [() => fields.integer('n'), 'REQUEST_CONTENT_INVALID', 'n'],
    [() => fields.text('t'), 'REQUEST_CONTENT_INVALID', 't'],
    [() => fields.flag('t'), 'REQUEST_CONTENT_INVALID', 't'],
    [() => fields.list('t'), 'REQUEST_CONTENT_INVALID', 't'],
    [() => fields.object('t'), 'REQUEST_CONTENT_INVALID', 't'],
    [() => fields.choice('e', ['A', 'B']), 'REQUEST_CONTENT_INVALID', 'e'],
    [() => fields.requiredText('none'), 'PARAMETER_MISSING', 'none'],
    [() => fields.requiredText('blank'), 'PARAMETER_EMPTY', 'blank'],
    [() => fields.text('nul'), 'PARAMETER_INVALID', 'nul'],
    [() => fields.text('half'), 'PARAMETER_INVALID', 'half'],
  ]
  for (const [read, code, name] of refusals) assert.throws(read, { code, detail: { name } })
})

it('given enum text in any case and with dashes, when it is matched, then it is found', () => {
  assert.equal(chosen(' fast-fail ', ['SKIP', 'FAST_FAIL']), 'FAST_FAIL')
  assert.equal(chosen('FAST FAIL', ['SKIP', 'FAST_FAIL']), undefined)
})
