import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { checkAddresses, coversAddress } from './address-list.ts'

describe('address list', () => {
  for (const [texts, address, expected] of [
    [['10.0.0.7'], '10.0.0.7', true],
    [['10.0.0.7'], '10.0.0.70', false],
    [['10.0.0.0/8'], '10.200.1.2', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['0.0.0.0/0'], '203.0.113.9', true],
    [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
    [['2001:db8::/32'], '2001:db8:1::5', true],
    [['2001:db8::/32'], '2001:db9::5', false],
    [['::1'], '0:0:0:0:0:0:0:1', true],
    [['::1', '127.0.0.1'], '127.0.0.1', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [[], '127.0.0.1', false],
    [['10.0.0.7'], 'no address', false],
  ] as const) {
    it(`given [${texts}], when ${address} asks, then ${expected}`, () => {
      assert.equal(coversAddress(texts, address), expected)
    })
  }

  it('given what is no address or network, when checked, then PARAMETER_INVALID names the field', () => {
    checkAddresses('ips', ['10.0.0.1', '10.0.0.0/8', '::', 'fe80::/10'])
    for (const bad of [
      '',
      'localhost',
      '10.0.0',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      '10.0.0.0/',
      '::1/a',
    ]) {
      assert.throws(
        () => checkAddresses('ips', [bad]),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('ips'),
        bad,
      )
    }
  })
})
