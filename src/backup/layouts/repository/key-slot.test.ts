import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { DEFAULT_COST, readSlot, type ScryptCost } from './key-slot.ts'
import { summedJson } from './summed-json.ts'

const slotOf = (cost: ScryptCost): Buffer => {
  const [salt, nonce, wrapped] = [32, 12, 48].map((bytes) => randomBytes(bytes).toString('base64'))
  return summedJson({ kdf: 'scrypt', ...cost, createdDate: '2026-01-01T00:00:00Z', salt, nonce, wrapped })
}

it('given key slots that would take hours or gigabytes, or are no cost at all, when they are read, then they count as damaged', () => {
  for (const cost of [
    { cost: 262_144, blockSize: 8, parallel: 262_143 },
    { cost: 16, blockSize: 1, parallel: 5 },
    { cost: 65_536, blockSize: 129, parallel: 1 },
    { cost: 1_048_576, blockSize: 1, parallel: 16 },
    { cost: 65_535, blockSize: 8, parallel: 1 },
    { cost: 1, blockSize: 8, parallel: 1 },
  ]) {
    assert.equal(readSlot(slotOf(cost)), undefined, JSON.stringify(cost))
  }
  assert.notEqual(readSlot(slotOf(DEFAULT_COST)), undefined)
  assert.notEqual(readSlot(slotOf({ ...DEFAULT_COST, parallel: 4 })), undefined)
})
