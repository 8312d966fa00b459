import assert from 'node:assert/strict'
import { it } from 'node:test'
import { AppError } from '../../core/errors.ts'
import { createExpressionJudge, matcherOf } from './expressions.ts'

const refusal = (message: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === 'PARAMETER_INVALID' && message.test(error.message)

it('given what is no expression of RE2, when checked, then it is refused and the field is named', () => {
  for (const expression of ['(', '[a', '(?=a)b', '(?<!a)b', '(a)\\1', 'a{2,1}', '*']) {
    assert.throws(() => createExpressionJudge().check('pathRegex', expression), refusal(/\[pathRegex\].*RE2/s))
  }
})

it('given an expression that is too long or repeats too much, when checked, then it is refused', () => {
  const check = (expression: string) => () => createExpressionJudge().check('versionRegex', expression)
  assert.throws(check('a'.repeat(501)), refusal(/longer than 500/))
  assert.throws(check('(a{0,900}){0,1}b{0,900}'), refusal(/repeats too much/))
  assert.throws(check('((a{1000}){1000}){1000}'), refusal(/versionRegex/))
  check(`/releases/${'[0-9]+\\.'.repeat(30)}jar`)()
})

it('given many expressions, when they are too many or too large together, then the one that goes too far is refused', () => {
  const judge = createExpressionJudge()
  for (let n = 0; n < 256; n++) judge.check('pathRegex', `/a/${n}`)
  judge.check('pathRegex', '/a/7')
  assert.throws(() => judge.check('pathRegex', '/a/256'), refusal(/more than 256/))
  const large = createExpressionJudge()
  for (let n = 0; n < 5; n++) large.check('pathRegex', `${n}a{0,500}`)
  assert.throws(() => large.check('pathRegex', 'b{0,600}'), refusal(/too large together/))
})

it('given expressions, when a text is matched, then those that match all of it are told', () => {
  const matching = matcherOf(['/a/.*\\.jar', '/a', '.*', '(?i)/A/X.JAR'])
  assert.deepEqual([...matching('/a/x.jar')].sort(), [0, 2, 3])
  assert.deepEqual(matching('/ab'), [2])
  assert.deepEqual(matcherOf([])('/a'), [])
})

it('given patterns that cost others exponential time, when the longest path is matched, then it is over at once', () => {
  const expressions = ['(a+)+b', '(a|a)*b', '(a|aa)+b', '(.*a){20}b', '([a-z]+)*[0-9]', '(a*)*b']
  const judge = createExpressionJudge()
  for (const expression of expressions) judge.check('pathRegex', expression)
  // Backtracking engines take longer than the universe is old.
  assert.deepEqual(matcherOf(expressions)(`/${'a'.repeat(2_599)}`), [])
})
