import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { createOpenStreams } from './open-streams.ts'

it('given a user with as many streams as may be open, when one more begins, then it is refused until another one ends', () => {
  const open = createOpenStreams(2)
  const first = open.enter('ann')
  using _second = open.enter('ann')
  using _other = open.enter('bob')
  assert.throws(
    () => open.enter('ann'),
    (error) => hasCode(error, 'TOO_MANY_REQUESTS') && error.retryable,
  )
  first[Symbol.dispose]()
  using _third = open.enter('ann')
  assert.throws(() => open.enter('ann'))
})
