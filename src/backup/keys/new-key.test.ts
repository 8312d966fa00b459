import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { readKeyRequest } from './new-key.ts'

const PASSPHRASE = 'correct horse battery'
const whole = { location: 'place', passphrase: PASSPHRASE }

it('given a key, when it is read, then the passphrase is as it came and the label is trimmed', () => {
  assert.deepEqual(readKeyRequest({ ...whole, passphrase: ` ${PASSPHRASE} `, label: ' of 2027 ' }), {
    ...{ location: 'place', passphrase: ` ${PASSPHRASE} `, label: 'of 2027' },
  })
  for (const label of [undefined, null, '  ']) assert.equal(readKeyRequest({ ...whole, label }).label, undefined)
  assert.equal(readKeyRequest({ ...whole, passphrase: '🐎'.repeat(12) }).passphrase, '🐎'.repeat(12))
})

it('given what is no key, when it is read, then the refusal says why and never repeats the passphrase', () => {
  const cases = [
    [{ passphrase: PASSPHRASE }, 'PARAMETER_MISSING', /location/],
    [{ location: 'place' }, 'PARAMETER_MISSING', /passphrase/],
    [{ ...whole, passphrase: ' '.repeat(20) }, 'PARAMETER_EMPTY', /passphrase/],
    [{ ...whole, passphrase: 12_345_678_901_234 }, 'REQUEST_CONTENT_INVALID', /passphrase must be text/],
    [{ ...whole, passphrase: 'only eleven' }, 'PARAMETER_INVALID', /12 characters or more/],
    // Six characters in twelve units.
    [{ ...whole, passphrase: '🐎'.repeat(6) }, 'PARAMETER_INVALID', /12 characters or more/],
    [{ ...whole, passphrase: 'x'.repeat(1_025) }, 'PARAMETER_INVALID', /1024 characters at most/],
    [{ ...whole, passphrase: `${PASSPHRASE}\n` }, 'PARAMETER_INVALID', /line break/],
    [{ ...whole, passphrase: `${PASSPHRASE}\ud800` }, 'PARAMETER_INVALID', /well-formed/],
    [{ ...whole, label: 'x'.repeat(65) }, 'PARAMETER_INVALID', /64 characters/],
    [{ ...whole, label: 'a\u001b[2J' }, 'PARAMETER_INVALID', /control characters/],
    [{ ...whole, label: `it is ${PASSPHRASE}` }, 'PARAMETER_INVALID', /everybody can read it/],
    [undefined, 'REQUEST_CONTENT_INVALID', /JSON object/],
  ] as const
  for (const [body, code, words] of cases) {
    assert.throws(
      () => readKeyRequest(body),
      (error: Error) => hasCode(error, code) && words.test(error.message) && !error.message.includes('horse'),
      JSON.stringify(body),
    )
  }
})
