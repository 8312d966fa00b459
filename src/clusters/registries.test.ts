import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isSameRegistry } from './registries.ts'

it('given an address that is written anew, when a password is stored, then it goes there only when it is the same place, as well protected', () => {
  const known = 'https://registry.example:5000/team'
  assert.equal(isSameRegistry(known, known), true)
  assert.equal(isSameRegistry('http://registry.example:5000/team', known), true)
  for (const given of [
    'http://registry.example:5000/team',
    'https://registry.example:5001/team',
    'https://registry.example:5000/other',
    'https://other.example:5000/team',
  ]) {
    assert.equal(isSameRegistry(known, given), false, given)
  }
})
