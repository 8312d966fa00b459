import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createBell } from './bell.ts'

it('given a bell, when it rings before or while somebody waits, then that wait ends, and the next one does not', async () => {
  const bell = createBell()
  bell.ring()
  bell.ring()
  await bell.wait()
  let woken = 0
  const waiting = bell.wait().then(() => woken++)
  await Promise.resolve()
  assert.equal(woken, 0)
  bell.ring()
  await waiting
  assert.equal(woken, 1)
})
